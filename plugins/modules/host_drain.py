#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_drain
short_description: Take a host out of the balance, without a lost request
version_added: 0.1.0
description:
  - V(drained) refuses new connections to O(ports) with a reset, which sends whoever asks to the next host, has each connection that is
    there get its last answer (O(notice)), waits until all have ended, and stops O(unit), also for the next boot.
  - V(serving) starts the unit, and takes connections again.
  - C(/var/lib/hardened/drain.json) says that the host is drained, and since when. One line in the audit trail for each change.
options:
  state:
    description: What is wanted; V(read) changes nothing.
    type: str
    choices: [drained, serving, read]
    required: true
  unit:
    description: The unit that takes the connections.
    type: str
    required: true
  ports:
    description: Its ports (TCP).
    type: list
    elements: int
    required: true
  notice:
    description: Command that has each answer be the last of its connection. It is repeated while there are connections.
    type: list
    elements: str
    default: []
  patience:
    description:
      - Seconds to wait for connections that are idle. The unit ends what is under way itself.
    type: float
    default: 40
  reason:
    description: Why.
    type: str
    default: ''
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: debian
requirements:
  - nftables on the host
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Let the edges use the other application hosts
  techsaas.hardened.host_drain:
    state: drained
    unit: hardened-listener.service
    ports: [8441, 8442]
    notice: [touch, /run/hardened-listener/last-answers]
    reason: updates
"""

RETURN = r"""
record:
  description: The record, empty when the host serves.
  returned: always
  type: dict
seconds:
  description: How long it took until nobody was connected any more.
  returned: always
  type: float
cut:
  description: Connections that were still there when patience ended.
  returned: always
  type: int
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import drain, records

RECORD = Path("/var/lib/hardened/drain.json")


def _read() -> dict[str, Any]:
    try:
        loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return dict(loaded) if isinstance(loaded, dict) else {}


def _systemctl(module: AnsibleModule, *arguments: str) -> None:
    status, output, errors = module.run_command(["systemctl", *arguments])
    if status:
        module.fail_json(msg=f"systemctl {' '.join(arguments)}: {errors.strip() or output.strip()}")


def _drain(module: AnsibleModule) -> tuple[int, float]:
    ports = set(module.params["ports"])
    notice = module.params["notice"]

    def give_notice() -> None:
        # Whoever cannot be told loses nothing but time: idle connections are closed by the other side.
        if notice:
            module.run_command(notice)

    status, _output, errors = module.run_command(["nft", "--file", "-"], data=drain.ruleset(ports))
    if status:
        module.fail_json(msg=f"new connections cannot be refused: {errors.strip()}")
    left, seconds = drain.wait_until_gone(
        lambda: drain.connections(ports), give_notice, module.params["patience"]
    )
    _systemctl(module, "disable", "--now", module.params["unit"])
    return left, seconds


def _serve(module: AnsibleModule) -> None:
    # systemd refuses to start what has failed too often; of a unit that it has not loaded it knows no failures.
    module.run_command(["systemctl", "reset-failed", module.params["unit"]])
    _systemctl(module, "enable", "--now", module.params["unit"])
    # After a reboot there is none.
    module.run_command(["nft", "delete", "table", "inet", drain.TABLE])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["drained", "serving", "read"], "required": True},
            "unit": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "notice": {"type": "list", "elements": "str", "default": []},
            "patience": {"type": "float", "default": 40},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    before = _read()
    state = module.params["state"]
    cut, seconds = 0, 0.0
    after = dict(before)
    if state == "drained" and not before.get("complete"):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        begun = {
            "unit": module.params["unit"],
            "since": before.get("since", now),
            "reason": module.params["reason"],
        }
        after = {**begun, "complete": True}
        if not module.check_mode:
            # Whoever finds a host that a killed run has left like this knows why.
            records.write(RECORD, {**begun, "complete": False})
            cut, seconds = _drain(module)
            records.write(RECORD, after)
            records.audit("host_drained", **begun, seconds=seconds, cut=cut)
    elif state == "serving" and before:
        after = {}
        if not module.check_mode:
            _serve(module)
            RECORD.unlink()
            records.audit("host_serving", unit=module.params["unit"], since=before.get("since"))
    changed = after != before
    module.exit_json(
        changed=changed,
        record=after,
        seconds=seconds,
        cut=cut,
        **({"diff": records.diff(RECORD, before, after)} if changed else {}),
    )


if __name__ == "__main__":
    main()

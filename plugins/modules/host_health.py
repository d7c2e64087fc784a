#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_health
short_description: Whether a host does what its groups are for
version_added: 0.1.0
description:
  - Looks at units, runs commands that say whether a service answers, and asks the slot of the application that serves. Changes nothing.
options:
  units:
    description: Units that have to be active.
    type: list
    elements: str
    default: []
  commands:
    description: Commands, each a list of its words, that have to end with 0.
    type: list
    elements: list
    default: []
  slots:
    description: For each slot, where it is asked, as a port of the loopback interface or the path of a socket.
    type: dict
    default: {}
  path:
    description: The path that answers 200.
    type: str
    default: /readyz
  host:
    description: The name that is asked for.
    type: str
    default: ''
  entrances:
    description: Application hosts that this host, an edge, has to get an answer from, with its certificate.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: Address of the application host.
        type: str
        required: true
      port:
        description: Port of the slot there.
        type: int
        required: true
      name:
        description: Name in its certificate.
        type: str
        required: true
  known_failed:
    description: Units that had failed before, which is not held against the host. All others that have failed are, with O(units).
    type: list
    elements: str
    default: []
  wait:
    description: Seconds within which it has to be healthy.
    type: float
    default: 0
  fail:
    description: Whether the task fails otherwise.
    type: bool
    default: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Wait until the host serves
  techsaas.hardened.host_health:
    units: [docker.service]
    slots: {blue: '18441', green: '18442'}
    wait: 120
"""

RETURN = r"""
problems:
  description: What is wrong; empty when it is healthy.
  returned: always
  type: list
  elements: str
failed_units:
  description: All units that have failed.
  returned: always
  type: list
  elements: str
slot:
  description: The slot that serves, as it is on record; empty where none does.
  returned: success
  type: str
seconds:
  description: How long it took.
  returned: always
  type: float
"""

import time
from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import health

_POLL = 1.0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "default": []},
            "commands": {"type": "list", "elements": "list", "default": []},
            "slots": {"type": "dict", "default": {}},
            "path": {"type": "str", "default": "/readyz"},
            "host": {"type": "str", "default": ""},
            "entrances": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "name": {"type": "str", "required": True},
                },
            },
            "known_failed": {"type": "list", "elements": "str", "default": []},
            "wait": {"type": "float", "default": 0},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params = module.params

    def run(command: Sequence[str]) -> tuple[int, str]:
        words = [str(word) for word in command]
        if not module.get_bin_path(words[0]):
            return 127, "not installed"
        status, output, errors = module.run_command(words)
        return int(status), f"{output}{errors}"

    slots = {str(slot): str(where) for slot, where in params["slots"].items()}
    begun = time.monotonic()
    while True:
        found = health.problems(
            run,
            params["units"],
            params["commands"],
            slots,
            params["path"],
            params["host"],
            params["known_failed"],
            params["entrances"],
        )
        seconds = round(time.monotonic() - begun, 1)
        if not found or seconds >= params["wait"]:
            break
        time.sleep(_POLL)
    if found and params["fail"]:
        module.fail_json(msg=f"not healthy after {seconds} s: {'; '.join(found)}", problems=found)
    module.exit_json(
        changed=False,
        problems=found,
        failed_units=health.failed_units(run),
        seconds=seconds,
        slot=health.serving_slot(),
    )


if __name__ == "__main__":
    main()

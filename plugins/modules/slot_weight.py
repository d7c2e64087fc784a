#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: slot_weight
short_description: Moves the edge's requests between the slots, without a reload
version_added: 0.1.0
description:
  - On a host with the role P(techsaas.hardened.reverse_proxy#role), sets which share of the requests goes to a slot. The other slot
    gets the rest.
  - The share is the number of links, of a hundred, that lead to the slot's socket. Each link is replaced atomically and is read
    anew for each request, so that no request is lost and nothing has to be reloaded.
  - A run that is killed leaves a valid share between the old and the new one. The next run finishes.
  - As few links as possible are changed.
options:
  state:
    description:
      - V(present) sets the weight.
      - V(read) changes nothing and returns the weights.
    type: str
    choices: [present, read]
    default: present
  slot:
    description:
      - The slot whose weight is given.
      - Required when O(state=present).
    type: str
    choices: [blue, green]
  weight:
    description:
      - Percentage of the requests that are to go to O(slot), from 0 to 100.
      - Required when O(state=present).
    type: int
  directory:
    description:
      - Directory of the links.
    type: path
    default: /var/lib/hardened/edge/slots
  sockets:
    description:
      - Directory of the slots' sockets, C(blue.sock) and C(green.sock).
    type: path
    default: /run/hardened-edge
  require_listening:
    description:
      - Whether to refuse to give links to a slot whose socket takes no connections. In check mode this is a warning.
    type: bool
    default: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Send a twentieth of the requests to the new release
  techsaas.hardened.slot_weight:
    slot: green
    weight: 5

- name: Look at the weights
  techsaas.hardened.slot_weight:
    state: read
  register: edge_weights
"""

RETURN = r"""
before:
  description: Weight of each slot before, and the number of links that led to neither.
  returned: success
  type: dict
  sample: {blue: 100, green: 0, unassigned: 0}
after:
  description: Weight of each slot now; in check mode, as it would be.
  returned: success
  type: dict
  sample: {blue: 95, green: 5, unassigned: 0}
moved:
  description: Numbers of the links that were changed; in check mode, that would be.
  returned: success
  type: list
  elements: str
  sample: ['00', '01', '02', '03', '04']
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import slot_links


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "read"], "default": "present"},
            "slot": {"type": "str", "choices": list(slot_links.SLOTS)},
            "weight": {"type": "int"},
            "directory": {"type": "path", "default": "/var/lib/hardened/edge/slots"},
            "sockets": {"type": "path", "default": "/run/hardened-edge"},
            "require_listening": {"type": "bool", "default": True},
        },
        required_if=[("state", "present", ("slot", "weight"))],
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "read":
            now = slot_links.read(module.params["directory"], module.params["sockets"])
            module.exit_json(**_result(now, {}))
        _set(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or module.params['directory']}: {error.strerror}")


def _set(module: Any) -> None:
    options = module.params
    if not 0 <= options["weight"] <= 100:
        module.fail_json(msg=f"weight: must be from 0 to 100, is {options['weight']}")
    if module.check_mode:
        # On a host that is only planned yet, there may be neither directory nor socket.
        module.exit_json(**_result(*_planned(module)))
    if not os.path.isdir(options["directory"]):
        module.fail_json(
            msg=f"{options['directory']}: is no directory; it is made by the role techsaas.hardened.reverse_proxy"
        )
    with slot_links.locked(options["directory"]):
        now, changes = _planned(module)
        if changes:
            slot_links.apply(options["directory"], options["sockets"], changes)
    module.exit_json(**_result(now, changes))


def _planned(module: Any) -> tuple[dict[str, str | None], dict[str, str]]:
    """The links as they are, and the changes that are wanted and possible."""
    options = module.params
    now = slot_links.read(options["directory"], options["sockets"])
    changes = slot_links.plan(now, options["slot"], options["weight"])
    if changes and options["require_listening"]:
        dead = slot_links.dead_sockets(options["sockets"], set(changes.values()))
        if dead:
            _refuse(module, dead)
    return now, changes


def _refuse(module: Any, dead: dict[str, str]) -> None:
    reasons = ", ".join(
        f"{slot_links.socket_path(module.params['sockets'], slot)} ({reason})"
        for slot, reason in dead.items()
    )
    message = f"no requests are sent to a slot that takes none: {reasons}"
    if module.check_mode:
        module.warn(message)
    else:
        module.fail_json(msg=f"{message}; is nginx running? Nothing was changed")


def _result(now: dict[str, str | None], changes: dict[str, str]) -> dict[str, Any]:
    before = slot_links.weights(now)
    after = slot_links.weights({**now, **changes})
    return {
        "changed": bool(changes),
        "before": before,
        "after": after,
        "moved": list(changes),
        "diff": {"before": _words(before), "after": _words(after)},
    }


def _words(weights: dict[str, int]) -> str:
    return "".join(f"{name}: {weight}\n" for name, weight in weights.items())


if __name__ == "__main__":
    main()

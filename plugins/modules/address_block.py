#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: address_block
short_description: Refuse a client's address until a time
version_added: 0.1.0
description:
  - Blocks an address or a network on an edge, or ends a block, by the program of P(techsaas.hardened.blocklist#role). Connections that are
    open are refused with their next packet.
  - The kernel ends the block by itself; a restart of the host keeps the time that is left.
  - Refuses what would hurt, with every reason at once; the fleet's own hosts, operators, this very connection, whatever
    C(blocklist_allow) names, a network that is too wide, a time that is too long.
  - Leaves one line in the audit trail (syslog, facility C(authpriv)) for each change.
options:
  address:
    description: Address, or network with a prefix length. IPv4 or IPv6.
    type: str
    required: true
  ttl:
    description:
      - How long, from now on, such as V(90s), V(30m), V(4h), V(7d). A number alone is seconds.
      - A block of the same address and reason that ends within a minute of that (within a tenth of a shorter time) is left as it is.
    type: str
    default: 4h
  reason:
    description: Why, for whoever finds the block. Required to block.
    type: str
    default: ''
  by:
    description: Who wants it.
    type: str
    default: ansible
  state:
    description: V(absent) ends the block.
    type: str
    choices: [present, absent]
    default: present
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
seealso:
  - module: techsaas.hardened.edge_maintenance
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Refuse whoever guesses keys
  techsaas.hardened.address_block:
    address: 203.0.113.7
    ttl: 4h
    reason: guesses keys

- name: Let them in again
  techsaas.hardened.address_block:
    address: 203.0.113.7
    state: absent
"""

RETURN = r"""
blocks:
  description: The blocks in force afterwards, in check mode those that would be.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: Address, or network with its prefix length.
      type: str
      sample: 203.0.113.7
    reason:
      description: Why.
      type: str
    by:
      description: Who wanted it.
      type: str
    since:
      description: When it was made, in seconds since 1970.
      type: int
    until:
      description: When it ends, in seconds since 1970.
      type: int
problems:
  description: Everything that stands against the block.
  returned: when it is refused
  type: list
  elements: str
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import host_program

PROGRAM = "/usr/local/sbin/hardened-blocklist"
STATE = "/var/lib/hardened/blocklist.json"


def _command(params: dict[str, Any], check: bool) -> list[str]:
    command = [PROGRAM, "add" if params["state"] == "present" else "remove", "--by", params["by"]]
    if check:
        command.append("--check")
    if params["state"] == "present":
        command += ["--ttl", params["ttl"], "--reason", params["reason"]]
    return [*command, "--", params["address"]]


def _shown(blocks: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(block, sort_keys=True) + "\n" for block in blocks)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "ttl": {"type": "str", "default": "4h"},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str", "default": "ansible"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    result = host_program.ask(module, _command(module.params, module.check_mode), "has no blocklist")
    module.exit_json(
        changed=result["changed"], blocks=result["after"], **host_program.diff(STATE, result, _shown)
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: incident
short_description: Begin, prolong, and end what a host does during an incident
version_added: 0.1.0
description:
  - Works by the program of P(techsaas.hardened.incident#role). Every measure is a file or a table of its own, so that its end leaves the host
    as it was. All of them end at the incident's time by the host's own timer, also over a restart.
  - Every host logs its new connections, a database every session and statement. An edge limits clients more tightly if asked, and any host
    can be cut off from all but the operators and the collectors.
  - Leaves one line in the audit trail (syslog, facility C(authpriv)) for each change.
options:
  case:
    description: Name of the incident. Required to open one; another one cannot be opened while it is.
    type: str
    default: ''
  state:
    description:
      - V(open) begins it, or adds to one that is open. V(extended) sets its end anew. V(closed) ends it.
    type: str
    choices: [open, extended, closed]
    default: open
  ttl:
    description: How long, from now on, such as V(30m), V(4h), V(2d). One that is open keeps its end, see V(extended).
    type: str
    default: 4h
  reason:
    description: Why, for whoever finds it. Required to open one.
    type: str
    default: ''
  by:
    description: Who wants it.
    type: str
    default: ansible
  tighten:
    description: Whether an edge applies the tighter limits.
    type: bool
    default: false
  isolate:
    description: Whether the host is cut off. What it tells clients is told to its end first.
    type: bool
    default: false
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
  - module: techsaas.hardened.incident_evidence
  - module: techsaas.hardened.address_block
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Look closer for four hours
  techsaas.hardened.incident:
    case: 2026-07-logins
    reason: logins nobody knows of
    ttl: 4h

- name: Everything as before
  techsaas.hardened.incident:
    state: closed
"""

RETURN = r"""
incident:
  description: The incident that is open afterwards, in check mode the one that would be; empty if none is.
  returned: success
  type: dict
  contains:
    case:
      description: Its name.
      type: str
    reason:
      description: Why it was opened.
      type: str
    by:
      description: Who opened it.
      type: str
    since:
      description: When it was opened, in seconds since 1970.
      type: int
    until:
      description: When it ends, in seconds since 1970.
      type: int
    tighten:
      description: Whether an edge limits clients more tightly.
      type: bool
    isolate:
      description: Whether the host is cut off.
      type: bool
    operators:
      description: Addresses that a host that is cut off still talks to, beside those of its configuration.
      type: list
      elements: str
    stopped:
      description: Units that are stopped until its end.
      type: list
      elements: str
problems:
  description: Everything that stands against it.
  returned: when it is refused
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import host_program, records

PROGRAM = "/usr/local/sbin/hardened-incident"
STATE = "/var/lib/hardened/incident.json"


def _command(params: dict[str, Any], check: bool) -> list[str]:
    command = [PROGRAM, {"open": "open", "extended": "extend", "closed": "close"}[params["state"]]]
    if check:
        command.append("--check")
    if params["state"] != "closed":
        command.append(f"--ttl={params['ttl']}")
    if params["state"] == "open":
        command += [f"--case={params['case']}", f"--reason={params['reason']}", f"--by={params['by']}"]
        command += [f"--{measure}" for measure in ("tighten", "isolate") if params[measure]]
    return command


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "case": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["open", "extended", "closed"], "default": "open"},
            "ttl": {"type": "str", "default": "4h"},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str", "default": "ansible"},
            "tighten": {"type": "bool", "default": False},
            "isolate": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    result = host_program.ask(
        module, _command(module.params, module.check_mode), "is not ready for incidents"
    )
    module.exit_json(
        changed=result["changed"],
        incident=result["after"],
        **host_program.diff(STATE, result, records.text_of),
    )


if __name__ == "__main__":
    main()

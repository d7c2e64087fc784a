#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: slot_info
short_description: What the container of a slot has done since its release was put there
version_added: 0.1.0
description:
  - Asks the container engine of an application host. Changes nothing.
options:
  slot:
    description: The slot.
    type: str
    choices: [blue, green]
    required: true
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
- name: See whether the new release keeps falling over
  techsaas.hardened.slot_info:
    slot: green
  register: green
"""

RETURN = r"""
container:
  description: What the engine says; empty if there is no container.
  returned: always
  type: dict
  contains:
    running:
      description: Whether it runs now.
      type: bool
    restarts:
      description: How often it has ended by itself and was started again.
      type: int
    oom_killed:
      description: Whether it was ended for want of memory.
      type: bool
    exit_code:
      description: Of the last end.
      type: int
    image:
      description: What it was made of, as the unit names it.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.engine_api import Engine, EngineProblem


def main() -> None:
    module = AnsibleModule(
        argument_spec={"slot": {"type": "str", "choices": ["blue", "green"], "required": True}},
        supports_check_mode=True,
    )
    try:
        said = Engine().container(f"app-{module.params['slot']}")
    except EngineProblem as problem:
        module.fail_json(msg=str(problem))
    state = said.get("State") or {}
    container = {
        "running": bool(state.get("Running")) and not state.get("Restarting"),
        "restarts": int(said.get("RestartCount", 0)),
        "oom_killed": bool(state.get("OOMKilled")),
        "exit_code": int(state.get("ExitCode", 0)),
        "image": str((said.get("Config") or {}).get("Image", "")),
    }
    module.exit_json(changed=False, container=container if said else {})


if __name__ == "__main__":
    main()

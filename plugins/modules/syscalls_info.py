#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: syscalls_info
short_description: Which system calls the containers of a host were seen to make
version_added: 0.1.0
description:
  - Reads what the recorder of the role C(container_runtime) has written, of all containers since it was switched on.
  - Fails where nothing is recorded, since an empty list would be no finding.
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
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Read what the host has recorded
  techsaas.hardened.syscalls_info:
  register: recorded
"""

RETURN = r"""
syscalls:
  description: Names of system calls, sorted.
  returned: success
  type: list
  elements: str
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DIRECTORY = Path("/var/lib/hardened/syscalls")


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    names: set[str] = set()
    for path in DIRECTORY.glob("*.json"):
        names.update(json.loads(path.read_text(encoding="ascii")))
    if not names:
        module.fail_json(
            msg=f"Nothing is recorded in {DIRECTORY}. Deploy with container_runtime_recorder: true, use the application, then run this"
        )
    module.exit_json(changed=False, syscalls=sorted(names))


if __name__ == "__main__":
    main()

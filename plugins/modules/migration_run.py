#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration_run
short_description: Runs a migration, and again while it finds the database busy
version_added: 0.1.0
description:
  - Runs a command. When it ends with status 75 (C(EX_TEMPFAIL) of C(sysexits.h)), it is run again after a pause that is doubled each time,
    up to 30 seconds, and differs by chance from that of others. Any other status but 0 is a failure at once.
  - In check mode nothing is run.
options:
  argv:
    description: The command with its arguments.
    type: list
    elements: str
    required: true
  phase:
    description: What it is, for the message when it fails.
    type: str
    default: the migration
  retries:
    description: How often it is run again at most.
    type: int
    default: 5
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Migrate
  techsaas.hardened.migration_run:
    argv: [docker, run, --rm, api, migrate]
"""

RETURN = r"""
rc:
  description: The last run's status. 0 in check mode.
  returned: always
  type: int
attempts:
  description: How often it was run.
  returned: always
  type: int
paused:
  description: Seconds that were waited between the runs.
  returned: always
  type: float
stdout:
  description: What the last run said.
  returned: always
  type: str
stderr:
  description: What it said of errors.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import migration_run


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "phase": {"type": "str", "default": "the migration"},
            "retries": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, rc=0, attempts=0, paused=0.0, stdout="", stderr="")
    try:
        outcome = migration_run.run(module.params["argv"], module.params["retries"])
    except OSError as error:
        module.fail_json(msg=f"{module.params['argv'][0]}: {error.strerror}", rc=127)
    result = {
        "rc": outcome.status,
        "attempts": outcome.attempts,
        "paused": round(outcome.paused, 3),
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
    }
    if outcome.status:
        module.fail_json(msg=migration_run.words(outcome, module.params["phase"]), **result)
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()

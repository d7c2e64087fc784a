#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: upkeep_record
short_description: Note on a host that an upkeep was done
version_added: 0.1.0
description:
  - Keeps C(/var/lib/hardened/upkeep.json), from which C(status.yml) tells what is due, and leaves one line in the audit trail.
options:
  task:
    description: What was done. Without it the host only comes under the calendar, if it is not yet.
    type: str
    choices: [scan, patch, pentest, review]
  result:
    description: What came of it. Only what went well counts as done.
    type: str
    choices: [ok, failed]
    default: ok
  detail:
    description: In a few words.
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
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Note that the host was scanned
  techsaas.hardened.upkeep_record:
    task: scan
    detail: 3 findings
"""

RETURN = r"""
record:
  description: The record as it is now.
  returned: always
  type: dict
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, upkeep_calendar

RECORD = Path("/var/lib/hardened/upkeep.json")


def _read(module: AnsibleModule) -> dict[str, Any]:
    try:
        loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        module.fail_json(
            msg=f"{RECORD} is no record. Move it away; the calendar of this host then begins anew"
        )
    return dict(loaded)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "task": {"type": "str", "choices": ["scan", "patch", "pentest", "review"]},
            "result": {"type": "str", "choices": ["ok", "failed"], "default": "ok"},
            "detail": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    before = _read(module)
    now = datetime.datetime.now(datetime.timezone.utc)
    params = module.params
    if params["task"]:
        after = upkeep_calendar.noted(before, params["task"], params["result"], params["detail"], now)
    else:
        after = upkeep_calendar.started(before, now)
    changed = after != before
    if changed and not module.check_mode:
        records.write(RECORD, after)
        told = {key: params[key] for key in ("task", "result", "detail")} if params["task"] else {}
        records.audit("upkeep_done" if params["task"] else "upkeep_begun", **told)
    module.exit_json(
        changed=changed, record=after, **({"diff": records.diff(RECORD, before, after)} if changed else {})
    )


if __name__ == "__main__":
    main()

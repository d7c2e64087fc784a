#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_floor
short_description: Records on a host how far back its fleet may still go
version_added: 0.1.0
description:
  - A contract takes from the database what only releases before the one that serves need, so nobody may go back to those any more. This
    writes so into C(/var/lib/hardened/release.json), atomically, and leaves one line in the audit trail (syslog, facility authpriv).
  - It is meant to be written before the contract begins. Nobody knows how much a contract that failed has done, so it is never lowered.
  - Where it is recorded of this release already, nothing changes.
options:
  release:
    description: Name of the release that serves. It becomes the oldest that may be gone back to.
    type: str
    required: true
  token:
    description:
      - Of the run, as M(techsaas.hardened.release_lock) has given it. A run that another one has overtaken records nothing.
    type: int
    default: 0
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
seealso:
  - module: techsaas.hardened.release_record
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Go back no further than to what serves
  techsaas.hardened.release_floor:
    release: "2026.11"
    token: "{{ release_lock.lock.token }}"
"""

RETURN = r"""
floor:
  description: The floor as it is now.
  returned: success
  type: dict
  contains:
    release:
      description: The oldest release that may be gone back to.
      type: str
    raised_at:
      description: Since when, in UTC. What was kept before that and is not this release is behind it.
      type: str
      sample: '2026-11-24T07:00:00.000000Z'
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, releases

RECORD = Path(releases.PATH)


def _read(module: AnsibleModule) -> dict[str, Any]:
    if not RECORD.exists():
        return {}
    try:
        loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    except ValueError:
        loaded = None
    if not releases.is_record(loaded):
        module.fail_json(msg=f"{RECORD} is not a release record. Move it away and record again what serves")
    return dict(loaded)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "release": {"type": "str", "required": True},
            "token": {"type": "int", "default": 0, "no_log": False},
        },
        supports_check_mode=True,
    )
    release, token = module.params["release"], module.params["token"]
    before = _read(module)
    if token and token < before.get("token", 0):
        module.fail_json(
            msg=f"run {before['token']} has taken over from this one ({token}), so nothing was recorded"
        )
    try:
        after = releases.floored(before, release, datetime.datetime.now(datetime.timezone.utc))
    except releases.ReleaseError as error:
        module.fail_json(msg=f"{error}, so nothing was recorded")
    changed = after != before
    if changed and not module.check_mode:
        records.write(RECORD, after)
        records.audit(
            "rollback_floor_raised", **after["floor"], before=(before.get("floor") or {}).get("release")
        )
    shown = {"diff": records.diff(RECORD, before, after)} if changed else {}
    module.exit_json(changed=changed, floor=after["floor"], **shown)


if __name__ == "__main__":
    main()

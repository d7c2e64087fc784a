#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_record
short_description: Record on a host which release its fleet serves
version_added: 0.1.0
description:
  - Writes C(/var/lib/hardened/release.json) atomically, keeping the releases before it, and leaves one line in the audit trail
    (syslog, facility authpriv).
  - Recording what is already recorded changes nothing.
options:
  slot:
    description: The slot that serves.
    type: str
    choices: [blue, green]
    required: true
  release:
    description: Name of the release in that slot.
    type: str
    required: true
  image:
    description: The image of that release.
    type: str
    required: true
  token:
    description:
      - Of the run, as M(techsaas.hardened.release_lock) has given it. A run that another one has overtaken records nothing.
    type: int
    default: 0
  withdrawn:
    description: Why the release that served before was taken back. It is no target of a rollback then, unless it is named.
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
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Record what serves
  techsaas.hardened.release_record:
    slot: green
    release: "2026.11"
    image: registry.example.com/api@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""

RETURN = r"""
record:
  description: The record as it is now.
  returned: always
  type: dict
  contains:
    slot:
      description: The slot that serves.
      type: str
    release:
      description: Name of the release.
      type: str
    image:
      description: Its image.
      type: str
    token:
      description: Of the latest run that has changed it.
      type: int
    promoted_at:
      description: When it began to serve, in UTC.
      type: str
      sample: '2026-11-24T07:00:00.000000Z'
    previous:
      description: What served before it, or nothing.
      type: dict
    history:
      description: The last five releases before it, the latest first.
      type: list
      elements: dict
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, releases

RECORD = Path(releases.PATH)


def _read() -> dict[str, Any]:
    if not RECORD.exists():
        return {}
    loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    if not releases.is_record(loaded):
        raise ValueError("not a release record")
    return dict(loaded)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "slot": {"type": "str", "choices": list(releases.SLOTS), "required": True},
            "release": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "token": {"type": "int", "default": 0, "no_log": False},
            "withdrawn": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        before = _read()
    except ValueError:
        module.fail_json(msg=f"{RECORD} is not a release record. Move it away and record again what serves")
    token = module.params["token"]
    if token and token < before.get("token", 0):
        module.fail_json(
            msg=f"run {before['token']} has taken over from this one ({token}), so nothing was recorded"
        )
    replaced = (
        {**before, "withdrawn": module.params["withdrawn"]}
        if before and module.params["withdrawn"]
        else before
    )
    after = releases.promote(replaced, module.params, datetime.datetime.now(datetime.timezone.utc), token)
    # What serves already stays as it is; a mark belongs to what was replaced.
    changed = after not in (before, replaced)
    if changed and not module.check_mode:
        records.write(RECORD, after)
        promoted = {key: after[key] for key in ("slot", "release", "image", "promoted_at")}
        records.audit("release_promoted", **promoted, replaced=(after["previous"] or {}).get("release"))
    module.exit_json(
        changed=changed,
        record=after if changed else before,
        **({"diff": records.diff(RECORD, before, after)} if changed else {}),
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: edge_maintenance
short_description: Let an edge answer that the service is under maintenance
version_added: 0.1.0
description:
  - Writes or removes C(/var/lib/hardened/edge/maintenance.json), which the nginx of P(techsaas.hardened.reverse_proxy#role) looks for at each
    request. Nothing is reloaded, requests under way are finished, and the next request sees it.
  - Leaves one line in the audit trail (syslog, facility C(authpriv)) for each change.
options:
  enabled:
    description: Whether the service is under maintenance.
    type: bool
    required: true
  reason:
    description: Why, for whoever finds it on. Clients do not see it.
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
- name: Close
  techsaas.hardened.edge_maintenance:
    enabled: true
    reason: The database moves to its new host

- name: Open
  techsaas.hardened.edge_maintenance:
    enabled: false
"""

RETURN = r"""
record:
  description: What is on record; empty when the service is open.
  returned: success
  type: dict
  contains:
    since:
      description: When it was closed, in UTC.
      type: str
      sample: '2026-11-24T13:00:00Z'
    reason:
      description: Why.
      type: str
"""

import datetime
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records

RECORD = Path("/var/lib/hardened/edge/maintenance.json")


def _read() -> dict[str, Any]:
    """Whatever the file holds: that it is there closes the service."""
    try:
        loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        loaded = None
    return dict(loaded) if isinstance(loaded, dict) and loaded else {"unreadable": True}


def _wanted(before: dict[str, Any], enabled: bool, reason: str) -> dict[str, Any]:
    if not enabled:
        return {}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"since": before.get("since", now), "reason": reason or before.get("reason", "")}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "enabled": {"type": "bool", "required": True},
            "reason": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    before = _read()
    after = _wanted(before, module.params["enabled"], module.params["reason"])
    changed = after != before
    if changed and not module.check_mode:
        if after:
            records.write(RECORD, after)
        else:
            RECORD.unlink()
        records.audit("maintenance_on" if after else "maintenance_off", **(after or before))
    module.exit_json(
        changed=changed, record=after, **({"diff": records.diff(RECORD, before, after)} if changed else {})
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: incident_evidence
short_description: Keep the evidence of a host on a collector
version_added: 0.1.0
description:
  - Writes an archive that another host has made below C(/var/lib/hardened-incident), readable by root only, after it has made sure that it is
    whole. One that is there already is never written again.
  - Leaves one line in the audit trail (syslog, facility C(authpriv)).
options:
  case:
    description: Name of the incident.
    type: str
    required: true
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
  name:
    description: Name of the archive.
    type: str
    required: true
  content:
    description: The archive, in base64. Never shown.
    type: str
    required: true
  sha256:
    description: SHA-256 of the archive, in hexadecimal, as its host has told.
    type: str
    required: true
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
seealso:
  - module: techsaas.hardened.incident
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Keep what app-1 has taken
  techsaas.hardened.incident_evidence:
    case: 2026-07-logins
    host: app-1
    name: app-1-1795947385.tar.gz
    content: "{{ archive.content }}"
    sha256: "{{ taken.sha256 }}"
"""

RETURN = r"""
path:
  description: Where it is.
  returned: success
  type: str
"""

import base64
import hashlib
import os
import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records

RECORD = Path("/var/lib/hardened-incident")
# What names a file must not lead anywhere else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _write(path: Path, content: bytes) -> None:
    """Under its name only when it is whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as stream:
        os.fchmod(stream.fileno(), 0o400)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "case": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "required": True, "no_log": True},
            "sha256": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    if wrong := [name for name in ("case", "host", "name") if not _NAME.fullmatch(params[name])]:
        module.fail_json(msg=f"Nothing was changed. {', '.join(wrong)}: letters, digits and ._- only")
    path = RECORD / params["case"] / params["host"] / params["name"]
    try:
        content = base64.b64decode(params["content"], validate=True)
    except ValueError:
        content = b""
    if hashlib.sha256(content).hexdigest() != params["sha256"]:
        module.fail_json(msg=f"Nothing was changed. {params['name']}: is not what {params['host']} has taken")
    changed = not path.exists()
    if changed and not module.check_mode:
        _write(path, content)
        records.audit("evidence_kept", case=params["case"], host=params["host"], sha256=params["sha256"])
    module.exit_json(changed=changed, path=str(path))


if __name__ == "__main__":
    main()

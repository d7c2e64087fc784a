#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify_release
short_description: Check that what runs on an application host is what its record says
version_added: 0.1.0
description:
  - Compares the container of the slot that serves with the release record, down to the image that the engine has under the recorded digest.
    Changes nothing.
options:
  fail:
    description: Whether a problem fails the task. The verdict of several hosts is given by M(techsaas.hardened.verify_report).
    type: bool
    default: true
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
- name: Check what runs
  techsaas.hardened.verify_release:
"""

RETURN = r"""
checks:
  description: What was checked, each with C(name), C(ok), C(detail), and C(duration_ms), how long it took.
  returned: always
  type: list
  elements: dict
problems:
  description: What is not as recorded.
  returned: always
  type: list
  elements: dict
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import releases
from ansible_collections.techsaas.hardened.plugins.module_utils.engine_api import Engine, EngineProblem

RECORD = Path(releases.PATH)
NAME = "release"


def examine(record: Any, engine: Engine) -> tuple[str, str]:
    """What was seen, and what to do about it; nothing to do where all is well."""
    if not releases.is_record(record):
        return "the release record cannot be read", f"see {RECORD}; deploy.yml writes it anew"
    container = engine.container(f"app-{record['slot']}")
    if not container:
        return f"no container app-{record['slot']}", f"systemctl start hardened-app@{record['slot']}.service"
    if not (container.get("State") or {}).get("Running"):
        return (
            f"the container app-{record['slot']} does not run",
            f"docker logs app-{record['slot']} says why",
        )
    recorded = engine.image_id(record["image"])
    if not recorded or container.get("Image") != recorded:
        runs = str((container.get("Config") or {}).get("Image"))
        return (
            f"{runs} runs in slot {record['slot']}, {record['image']} is recorded",
            f"somebody has started another container: systemctl restart hardened-app@{record['slot']}.service",
        )
    return f"release {record['release']} runs as {record['image']}", ""


def result(seen: str, fix: str, seconds: float) -> dict[str, Any]:
    """As the other checks of a verification have it."""
    check = {"name": NAME, "ok": not fix, "detail": seen, "duration_ms": round(seconds * 1000, 1)}
    problems = [{"variable": NAME, "code": "VERIFY", "message": seen, "fix": fix}] if fix else []
    return {"checks": [check], "problems": problems}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"fail": {"type": "bool", "default": True}}, supports_check_mode=True
    )
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    began = time.monotonic()
    try:
        seen, fix = examine(record, Engine())
    except EngineProblem as problem:
        seen, fix = str(problem), "systemctl status docker"
    told = result(seen, fix, time.monotonic() - began)
    if fix and module.params["fail"]:
        module.fail_json(msg=f"{seen}. {fix}", **told)
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()

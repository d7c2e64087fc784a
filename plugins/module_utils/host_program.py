# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that a role has put on the host, called by the modules that are their faces.

Such a program prints `changed`, `before` and `after` as JSON, or ends with status 2 and every reason against it on a line of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_REFUSED = 2


def ask(module: AnsibleModule, command: list[str], what_for: str) -> dict[str, Any]:
    """What the program says; the module fails if it says no, or is not there (`what_for` the host is not ready, then)."""
    if not os.path.exists(command[0]):
        problems = [f"this host {what_for} yet; provision.yml makes it so"]
        module.fail_json(msg=f"Nothing was changed. {problems[0]}", problems=problems)
    status, output, words = module.run_command(command, handle_exceptions=False)
    if status == _REFUSED:
        problems = words.splitlines()
        module.fail_json(msg="Nothing was changed. " + "; ".join(problems), problems=problems)
    if status:
        module.fail_json(msg=f"{command[0]} failed: {words.strip()}", problems=words.splitlines())
    result: dict[str, Any] = json.loads(output)
    return result


def diff(path: str, result: dict[str, Any], shown: Callable[[Any], str]) -> dict[str, Any]:
    """For a module's result: what changed in the program's record; nothing where nothing did."""
    if not result["changed"]:
        return {}
    return {
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": shown(result["before"]),
            "after": shown(result["after"]),
        }
    }

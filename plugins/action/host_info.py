# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and adds what only the controller can tell: how far the clocks are apart."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        before = time.time()
        result: dict[str, Any] = self._execute_module(
            module_name="techsaas.hardened.host_info", module_args=self._task.args, task_vars=task_vars
        )
        after = time.time()
        facts = result.get("ansible_facts", {}).get("hardened_host")
        if facts:
            facts["clock_skew"] = clock_skew(before, facts["time"], after)
        return result


def clock_skew(before: float, host: float, after: float) -> float:
    """The host read its clock somewhere between the two readings here: only what lies outside is certain."""
    if host < before:
        return round(host - before, 3)
    return round(host - after, 3) if host > after else 0.0

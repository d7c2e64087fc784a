# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and adds what only the controller can tell: how far the clocks are apart."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.plugin_utils import run_memory


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        fail = boolean(arguments.pop("fail", True), strict=True)
        before = time.time()
        try:
            result: dict[str, Any] = self._execute_module(
                module_name="techsaas.hardened.host_info", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            if fail:
                raise
            return _problem(
                "UNREACHABLE", error.message, "check its address, that it runs, and that SSH lets you in"
            )
        except AnsibleError as error:
            if fail:
                raise
            return _problem(
                "HOST_INFO", error.message, "check that the host lets its user run Python, with become"
            )
        after = time.time()
        if result.get("failed") and not fail:
            said = str(result.get("msg") or result.get("module_stderr") or "no reason given")
            return _problem(
                "HOST_INFO", said, "check that the host lets its user run Python 3.9 or newer, with become"
            )
        facts = result.get("ansible_facts", {}).get("hardened_host")
        if facts:
            facts["clock_skew"] = clock_skew(before, facts["time"], after)
            # Not a fact: a cache would keep it beyond the moment for which it is true.
            run_memory.tell(run_memory.host_of(self._task, task_vars or {}), result.pop("settled", {}))
            result["problems"] = []
        return result


def clock_skew(before: float, host: float, after: float) -> float:
    """The host read its clock somewhere between the two readings here: only what lies outside is certain."""
    if host < before:
        return round(host - before, 3)
    return round(host - after, 3) if host > after else 0.0


def _problem(code: str, message: Any, fix: str) -> dict[str, Any]:
    first_line = str(message).strip().partition("\n")[0][:200] or "no reason given"
    return {"changed": False, "problems": [{"code": code, "message": first_line, "fix": fix}]}

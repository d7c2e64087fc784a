# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name; a collector that cannot be reached is one of its problems."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            result: dict[str, Any] = self._execute_module(
                module_name="techsaas.hardened.verify_logs", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            if boolean(arguments.get("fail", True), strict=True):
                raise
            told = str(error.message).strip().partition("\n")[0][:200]
            fix = "check its address, that it runs, and that SSH lets you in"
            problem = {"variable": "host", "code": "UNREACHABLE", "message": told, "fix": fix}
            ids = list(arguments.get("request_ids") or [])
            return {"changed": False, "found": [], "missing": ids, "checks": [], "problems": [problem]}
        return result

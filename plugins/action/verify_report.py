# SPDX-License-Identifier: GPL-3.0-or-later
"""One verdict on a deployment from what verify_edge and verify_logs have found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.techsaas.hardened.plugins.module_utils.verify_summary import Summary

_SPEC: dict[str, Any] = {
    "edges": {"type": "list", "elements": "str", "required": True},
    "collectors": {"type": "list", "elements": "str", "required": True},
    "apps": {"type": "list", "elements": "str", "default": []},
    "edge_result": {"type": "str", "default": "_verify_edge"},
    "logs_result": {"type": "str", "default": "_verify_logs"},
    "app_result": {"type": "str", "default": "_verify_release"},
    "fail": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=_SPEC)
        hostvars = (task_vars or {})["hostvars"]

        def registered(hosts: list[str], name: str) -> dict[str, Mapping[str, Any] | None]:
            return {
                str(host): hostvars.raw_get(host).get(name) if host in hostvars else None for host in hosts
            }

        summary = Summary(
            edges=registered(options["edges"], options["edge_result"]),
            collectors=registered(options["collectors"], options["logs_result"]),
            apps=registered(options["apps"], options["app_result"]),
        )
        if summary.rows and not options["fail"]:
            summary.notes.append("this does not fail the run, as was asked for")
        # The verdict is what the run was for: it is shown without -v, and a failure shows nothing beside it.
        result: dict[str, Any] = {
            "changed": False,
            "failed": bool(summary.rows) and options["fail"],
            "msg": summary.text(verbose=Display().verbosity > 0),
            "_ansible_verbose_always": True,
        }
        return result if options["fail"] else {**result, "problems": summary.rows}

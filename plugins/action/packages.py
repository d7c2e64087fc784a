# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs what is missing; when the facts say that nothing is, the host is not contacted."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils.package_plan import hints, missing, names
from ansible_collections.techsaas.hardened.plugins.plugin_utils import run_memory

_FACT = "hardened_host"


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, options = self.validate_argument_spec(
            argument_spec={
                "name": {"type": "list", "elements": "str", "required": True, "aliases": ["pkg"]},
                "start": {"type": "bool", "default": False},
                "cache_valid_time": {"type": "int", "default": 3600},
                "lock_timeout": {"type": "int", "default": 120},
            }
        )
        wanted: list[str] = options["name"]
        host = self._known(task_vars)
        if host is None and self._task.check_mode:
            # apt's own check mode fails on a host whose lists were never downloaded: ask the host what it has instead.
            reply = self._host_info(task_vars, names(wanted))
            if reply.get("failed") or reply.get("unreachable"):
                return reply
            host = reply["ansible_facts"][_FACT]
        todo = wanted if host is None else missing(wanted, host["packages"])
        if not todo:
            return {"changed": False, "installed": []}
        if self._task.check_mode:
            return {
                "changed": True,
                "installed": todo,
                "msg": f"Would install {', '.join(todo)}",
                "diff": _diff(todo, host),
            }
        return self._install(todo, options, task_vars, host)

    def _known(self, task_vars: dict[str, Any]) -> dict[str, Any] | None:
        if self._task.delegate_to:
            # The facts at hand are those of the inventory's host, not of the one that is acted upon.
            return None
        host = task_vars.get("ansible_facts", {}).get(_FACT) or task_vars.get(_FACT)
        return dict(host) if host and host.get("packages_complete") else None

    def _install(
        self, todo: list[str], options: dict[str, Any], task_vars: dict[str, Any], host: dict[str, Any] | None
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "name": todo,
            "state": "present",
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": options["cache_valid_time"],
            "lock_timeout": options["lock_timeout"],
        }
        if not options["start"]:
            arguments["policy_rc_d"] = 101
        result: dict[str, Any] = self._execute_module(
            module_name="ansible.builtin.apt", module_args=arguments, task_vars=task_vars
        )
        if result.get("unreachable"):
            return result
        if result.get("failed"):
            return _explained(result, todo, host)
        run_memory.forget(run_memory.host_of(self._task, task_vars))
        if not result.get("changed"):
            return {"changed": False, "installed": []}
        answer: dict[str, Any] = {"changed": True, "installed": todo, "diff": _diff(todo, host)}
        if host is not None:
            reply = self._host_info(task_vars, [])
            fresh = reply.get("ansible_facts", {}).get(_FACT)
            if fresh:
                kept = {
                    key: fresh[key]
                    for key in ("packages", "packages_complete", "apt_lists", "systemd_version")
                }
                answer["ansible_facts"] = {_FACT: {**host, **kept}}
        return answer

    def _host_info(self, task_vars: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        reply: dict[str, Any] = self._execute_module(
            module_name="techsaas.hardened.host_info",
            module_args={"packages": wanted, "records": False},
            task_vars=task_vars,
        )
        return reply


def _diff(todo: list[str], host: dict[str, Any] | None) -> dict[str, str]:
    have = (host or {}).get("packages", {})
    before = [f"{name} {have[name]}\n" for name in names(todo) if name in have]
    return {
        "before_header": "installed packages",
        "after_header": "installed packages",
        "before": "".join(before),
        "after": "".join(f"{spec}\n" for spec in todo),
    }


def _explained(result: dict[str, Any], todo: list[str], host: dict[str, Any] | None) -> dict[str, Any]:
    said = "\n".join(str(result.get(key, "")) for key in ("msg", "stderr", "stdout"))
    causes = hints(said, host.get("apt_lists") if host else None)
    first_line = str(result.get("msg", "")).strip().splitlines()[:1] or ["apt failed"]
    message = [f"Could not install {', '.join(todo)}: {first_line[0]}"] + [
        f"Hint: {cause}" for cause in causes
    ]
    # Without the module's own exception, so that Ansible shows this message and not the bare one.
    kept: dict[str, Any] = {key: result[key] for key in ("rc", "stderr_lines", "warnings") if key in result}
    return {"failed": True, "changed": False, "msg": "\n".join(message), "hints": causes, **kept}

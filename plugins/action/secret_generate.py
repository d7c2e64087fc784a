# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes secrets in the chosen backend, on the controller only."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    SecretProblem,
    parse_name,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import (
    incomplete,
    setting,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_generator import (
    FORMATS,
    KEY,
    Generator,
    Request,
    Row,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_registry import check_class

_LOOKUP = "techsaas.hardened.secret"
_SPEC: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "required": True, "aliases": ["name"]},
    "class": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "rotated"], "default": "present"},
    "format": {"type": "str", "choices": list(FORMATS), "default": "base64"},
    "length": {"type": "int", "default": 64},
    "options": {"type": "dict", "default": {}},
    "lock_timeout": {"type": "float", "default": 30.0},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=_SPEC)
        if not 32 <= options["length"] <= 1024:
            raise AnsibleActionFail("length must be from 32 to 1024")
        try:
            rows = self._generator(options, task_vars or {}).run()
        except SecretProblem as problem:
            return {
                "failed": True,
                "changed": False,
                "msg": problem.message,
                "problem_code": problem.problem_code,
                "problem_rule": problem.problem_rule,
                "problem_fix": problem.problem_fix,
            }
        result: dict[str, Any] = {
            "changed": any(row.action != "unchanged" for row in rows),
            "secrets": [row.public() for row in rows],
        }
        if self._task.diff:
            result["diff"] = _diff(rows)
        return result

    def _generator(self, options: dict[str, Any], task_vars: dict[str, Any]) -> Generator:
        lookup = lookup_loader.get(_LOOKUP, loader=self._loader, templar=self._templar)
        settings = lookup.settings(task_vars, options["options"])
        if not settings.registry:
            raise incomplete(settings.backend, [f"the path of the registry ({setting('registry')})"])
        request = Request(
            names=tuple(dict.fromkeys(parse_name(name) for name in options["names"])),
            class_name=check_class(options["class"]),
            format=options["format"],
            length=options["length"],
            rotate=options["state"] == "rotated",
            check=bool(self._task.check_mode),
            lock_seconds=options["lock_timeout"],
        )
        if KEY in request.names:
            raise SecretProblem(
                "NAME", f"{KEY} is the key of the registry's fingerprints, made by itself", "use another name"
            )
        return Generator(lookup.backend(settings), settings.registry, request)


def _diff(rows: list[Row]) -> dict[str, str]:
    changed = [row for row in rows if row.action != "unchanged"]
    return {
        "before_header": "secrets",
        "after_header": "secrets",
        "before": "".join(f"{row.name}: {row.before}\n" for row in changed),
        "after": "".join(f"{row.name}: {_after(row)}\n" for row in changed),
    }


def _after(row: Row) -> str:
    changed = "secret changed" if row.action in ("created", "rotated") else row.action
    return f"version {row.version} of {row.created or 'unknown date'}, {row.class_name} ({changed})"

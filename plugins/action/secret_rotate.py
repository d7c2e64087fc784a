# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces secrets in the chosen backend step by step, on the controller only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rotation import POLICY, utc_now
from ansible_collections.techsaas.hardened.plugins.plugin_utils import encrypted_key
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    SecretProblem,
    parse_name,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import (
    incomplete,
    setting,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_registry import check_class
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_rotator import (
    EXPOSURE,
    STEPS,
    Rotator,
    Row,
    Selection,
    Subject,
    agenda,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import rotating_secrets

_LOOKUP = "techsaas.hardened.secret"
_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["planned", *STEPS], "default": "planned"},
    "variables": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": []},
    "class": {"type": "str", "default": ""},
    "overdue": {"type": "bool", "default": False},
    "retire": {"type": "bool", "default": False},
    "abandon": {"type": "bool", "default": False},
    "reason": {"type": "str", "default": ""},
    "ca_key": {"type": "path", "default": "", "no_log": False},
    "options": {"type": "dict", "default": {}},
    "lock_timeout": {"type": "float", "default": 30.0},
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=_SPEC)
        wanted = Selection(
            secrets=options["secrets"],
            class_name=options["class"],
            overdue=options["overdue"],
            retire=options["retire"],
            abandon=options["abandon"],
            reason=options["reason"],
        )
        asked = wanted.overdue or wanted.retire or bool(wanted.secrets or wanted.class_name)
        if options["state"] == "planned" and not asked:
            raise AnsibleActionFail(
                "say what to rotate: -e overdue=true, -e class=CLASS, or -e secret=NAME. Nothing was changed"
            )
        if wanted.reason == EXPOSURE and not (wanted.secrets or wanted.class_name):
            raise AnsibleActionFail(
                "say which secret is exposed: -e secret=NAME or -e class=CLASS. Nothing was changed"
            )
        try:
            rotator = self._rotator(options, task_vars or {})
            if options["state"] == "planned":
                rows = rotator.plan(wanted)
                return {
                    "changed": False,
                    "rotations": [row.public() for row in rows],
                    "lines": [_line(row) for row in rows],
                    "agenda": agenda(rows, wanted),
                }
            if self._task.check_mode:
                return {"changed": bool(options["variables"]), "advanced": options["variables"]}
            advanced = rotator.step(options["state"], options["variables"], wanted.reason)
        except SecretProblem as problem:
            return {
                "failed": True,
                "changed": False,
                "msg": problem.message,
                "problem_code": problem.problem_code,
                "problem_rule": problem.problem_rule,
                "problem_fix": problem.problem_fix,
            }
        return {"changed": bool(advanced), "advanced": advanced}

    def _rotator(self, options: dict[str, Any], task_vars: dict[str, Any]) -> Rotator:
        lookup = lookup_loader.get(_LOOKUP, loader=self._loader, templar=self._templar)
        settings = lookup.settings(task_vars, options["options"])
        if not settings.registry:
            raise incomplete(settings.backend, [f"the path of the registry ({setting('registry')})"])
        names = lookup.get_option("names")
        more: list[dict[str, str]] = self._given(task_vars, "secrets") or []
        policy: dict[str, Any] = self._given(task_vars, "policy") or POLICY
        overlaps: dict[str, Any] = self._given(task_vars, "overlap") or {}
        subjects = [
            Subject(
                variable=row["variable"],
                name=parse_name(names.get(row["variable"], row["variable"])),
                class_name=check_class(row["class"]),
                kind=row["kind"],
                format=row.get("format", "base64"),
            )
            for row in [*rotating_secrets(self._loader), *more]
        ]
        return Rotator(
            backend=lookup.backend(settings),
            registry_path=settings.registry,
            subjects=subjects,
            policy=policy,
            overlaps={name: duration(name, value) for name, value in overlaps.items()},
            now=utc_now(),
            lock_seconds=options["lock_timeout"],
            apply_local=lambda _subject, old, new: encrypted_key.change_passphrase(
                options["ca_key"], old, new
            ),
        )

    def _given(self, task_vars: dict[str, Any], name: str) -> Any:
        return self._templar.template(task_vars.get(f"hardened_rotation_{name}"))


def duration(name: str, value: Any) -> timedelta:
    """A number with a unit, such as 90m or 1d, as a length of time."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
    if match is None:
        raise AnsibleActionFail(
            f"hardened_rotation_overlap of {name} must be a number with one of the units s, m, h, d, for example 24h. Nothing was changed"
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _line(row: Row) -> str:
    done: Mapping[str, str] = {
        "none": "nothing to do",
        "rotate": "will be replaced",
        "retire": "value of before ends",
    }
    return f"{row.variable} ({row.class_name}): {done.get(row.action, row.action)}, {row.why}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as systemd credentials: a configuration set of encrypted files; documented by the module of this name."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.techsaas.hardened.plugins.action.config_set import ActionModule as ConfigSet
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import ARGUMENT_SPEC

_KEEP = ("services", "probe")


class ActionModule(ConfigSet):
    """Refuses, by way of config_set, whatever would leave clear text in a file: async and a connection without pipelining."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        _result, options = self.validate_argument_spec(
            argument_spec={
                "name": {"type": "str", "required": True},
                "secrets": {
                    "type": "list",
                    "elements": "dict",
                    "required": True,
                    "no_log": True,
                    "options": {
                        "name": {"type": "str", "required": True},
                        "value": {"type": "str", "required": True, "no_log": True},
                        "not_after": {"type": "str"},
                    },
                },
                "directory": {"type": "path", "default": "/etc/credstore.encrypted"},
                **{option: ARGUMENT_SPEC[option] for option in _KEEP},
            }
        )
        empty = [secret["name"] for secret in options["secrets"] if not secret["value"]]
        if empty:
            raise AnsibleActionFail(f"deploy_secret: no value, nothing was done: {', '.join(empty)}")
        given = {option: self._task.args[option] for option in _KEEP if option in self._task.args}
        self._task.args = {
            "name": f"secrets-{options['name']}",
            "files": [_file(options["directory"], secret) for secret in options["secrets"]],
            **given,
        }
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result


def _file(directory: str, secret: dict[str, Any]) -> dict[str, Any]:
    credential = {"name": secret["name"], "not_after": secret["not_after"] or ""}
    return {
        "path": f"{directory}/{secret['name']}",
        "content": secret["value"],
        "mode": "0400",
        "credential": credential,
    }

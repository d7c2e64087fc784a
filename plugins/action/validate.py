# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the variables of the whole fleet in one call on the controller, before any host is contacted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils.guide import verdicts
from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import table
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    Specification,
    SpecificationError,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.fleet_checks import report_groups
from ansible_collections.techsaas.hardened.plugins.plugin_utils.fleet_validator import FleetValidator
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import (
    ROOT,
    read_specification,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver

# Variables by which lookups of ours are set up without being named in their terms.
_LOOKUP_SETTINGS = ("hardened_secrets_", "hardened_secret_")
# What a host's own variables lack, because they belong to the run.
_OF_THE_RUN = (
    "ansible_check_mode",
    "ansible_config_file",
    "ansible_diff_mode",
    "ansible_verbosity",
    "ansible_version",
    "groups",
    "hostvars",
    "inventory_dir",
    "playbook_dir",
)


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, options = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str"},
                "required": {"type": "list", "elements": "str", "default": []},
                "required_groups": {"type": "list", "elements": "str"},
                "path": {"type": "path"},
                "fail": {"type": "bool", "default": True},
            }
        )
        root = Path(options["path"]) if options["path"] else ROOT
        try:
            spec = read_specification(root, self._loader)
        except SpecificationError as error:
            raise AnsibleActionFail(f"The specification in {root} is wrong: {error}") from error
        problems, judged = self._problems(spec, options, task_vars)
        guide = verdicts(spec.guide, problems, judged)
        result: dict[str, Any] = {"changed": False, "problems": problems, "guide": guide}
        result["production"] = self._is_production(spec, task_vars)
        if problems and options["fail"]:
            result.update(failed=True, msg=table(problems))
        elif not problems:
            result["msg"] = "The variables of all hosts are valid."
        return result

    def _is_production(self, spec: Specification, task_vars: Mapping[str, Any]) -> bool:
        """Whether real users are served; what cannot be told counts as yes."""
        option = spec.environment.options.get("hardened_production")
        value = task_vars.get("hardened_production", option.default if option else True)
        outcome = Resolver(self._loader).resolve(value, task_vars)
        return bool(boolean(outcome.value, strict=False)) if not outcome.code else True

    def _problems(
        self, spec: Specification, options: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], set[str]]:
        groups, hostvars = task_vars["groups"], task_vars["hostvars"]
        shared = {name: task_vars[name] for name in _OF_THE_RUN if name in task_vars}
        settings = [name for name in spec.environment.options if name.startswith(_LOOKUP_SETTINGS)]
        # Raw, as it cannot be judged before it is needed: only a plain yes counts.
        shown = boolean(str(task_vars.get("hardened_show_secrets_errors", False)), strict=False)
        resolver = Resolver(self._loader, ambient=settings, show_errors=shown)
        validator = FleetValidator(spec, resolver, shared, options["required"], groups["all"])
        wanted = options["required_groups"]
        needed = spec.required_groups if wanted is None else wanted
        report_groups(validator.report, groups, spec.groups, needed, spec.optional_groups)
        for host in options["hosts"] or groups["all"]:
            if host in hostvars:
                validator.host(str(host), hostvars.raw_get(host))
            else:
                validator.report.add(
                    "inventory", "UNKNOWN_HOST", "has no such host", "correct its name", str(host)
                )
        validator.reused_secrets()
        sources = task_vars.get("ansible_inventory_sources") or ()
        validator.files([sources] if isinstance(sources, str) else map(str, sources))
        return validator.report.rows(), validator.judged

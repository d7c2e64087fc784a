# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a secret is weak, for playbooks that say more than yes or no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import MIN_LENGTH
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_judgement import judge


def secret_findings(value: Any, min_length: Any = MIN_LENGTH, context: Any = ()) -> list[dict[str, str]]:
    """See secret_findings.yml."""
    found = judge("secret_findings", value, min_length, context)
    return [{"code": finding.code, "rule": finding.rule, "fix": finding.fix} for finding in found]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secret_findings": secret_findings}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for the fleet's upkeep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import upkeep_plan as plan


def upkeep_plan(hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, list[str]]) -> list[str]:
    """See upkeep_plan.yml."""
    return plan.lines(hosts, groups)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"upkeep_plan": upkeep_plan}

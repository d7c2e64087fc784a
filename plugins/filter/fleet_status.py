# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that makes one page of what all hosts say of themselves."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.fleet_status import Page


def fleet_status(
    hosts: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, list[str]],
    secrets: list[Mapping[str, Any]] | None = None,
) -> dict[str, list[str]]:
    """See fleet_status.yml."""
    own = ("edge", "app", "database", "logs")
    named = {host: [group for group in own if host in groups.get(group, ())] for host in hosts}
    page = Page(
        {host: result.get("status") for host, result in hosts.items()},
        named,
        datetime.datetime.now(datetime.timezone.utc),
        secrets or [],
    )
    return {"lines": page.lines, "problems": page.problems}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"fleet_status": fleet_status}

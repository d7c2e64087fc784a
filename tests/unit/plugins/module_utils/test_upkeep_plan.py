# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of an upkeep in words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import upkeep_plan

GROUPS = {"app": ["app-1", "app-2"], "database": ["db-1"]}
NGINX = {"name": "nginx", "before": "1", "after": "2", "security": True}


def found(**more: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        **{
            name: []
            for name in (
                "updates",
                "held",
                "stale",
                "sessions",
                "reboot",
                "reboot_known",
                "reboot_expected",
                "problems",
            )
        },
        "interrupted": False,
        "drained": {},
        "spared": False,
    }
    return {**nothing, **more}


@pytest.mark.parametrize(
    ("host", "state", "lines"),
    [
        ("app-1", found(), ["nothing to do"]),
        (
            "app-1",
            found(updates=[NGINX], spared=True),
            ["nginx 1 -> 2 (security)", "taken out of the balance"],
        ),
        ("app-1", found(updates=[NGINX]), ["nginx 1 -> 2 (security)", "it is the only application host"]),
        (
            "db-1",
            found(reboot=["kernel 2 is installed, 1 runs"]),
            ["restart of the host: kernel 2", "the database does not answer"],
        ),
        (
            "db-1",
            found(updates=[NGINX], reboot_expected=["libc6"]),
            ["nginx", "restart of the host expected after libc6", "the database"],
        ),
        (
            "db-1",
            found(reboot_known=["Debian asks for it"]),
            ["wants to be restarted, which -e reboot=never", "nothing to do"],
        ),
        ("app-1", found(held=[NGINX]), ["held: nginx 1, 2 is there", "nothing to do"]),
        ("app-1", found(problems=["x is inactive"]), ["NOT WELL: x is inactive", "nothing to do"]),
        (
            "app-1",
            found(drained={"since": "S", "reason": "R"}, spared=True),
            ["out of the balance since S (R)", "nothing to install"],
        ),
        (
            "app-1",
            found(updates=[{**NGINX, "name": "runc"}], spared=True),
            ["runc", "the container engine is among it", "taken out"],
        ),
    ],
)
def test_what_is_told_of_a_host(host: str, state: dict[str, Any], lines: list[str]) -> None:
    first, *rest = upkeep_plan.lines({host: state}, GROUPS)
    assert first == f"1. {host} ({'app' if host == 'app-1' else 'database'})"
    assert len(rest) == len(lines), rest
    assert [
        line for line, begins in zip(rest, lines, strict=True) if not line.strip().startswith(begins)
    ] == []

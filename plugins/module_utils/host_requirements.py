# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must be before the collection is let loose on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Requirements(NamedTuple):
    releases: tuple[str, ...] = ("debian 12", "debian 13")
    python: tuple[int, ...] = (3, 9)
    memory_mb: int = 400
    disk_free_mb: int = 1024
    clock_skew: float = 5.0
    cgroup_versions: tuple[int, ...] = (1, 2)


class Problem(NamedTuple):
    code: str
    rule: str
    fix: str


def host_problems(host: Mapping[str, Any], needs: Requirements) -> Iterator[Problem]:
    """`host` is the fact hardened_host."""
    release = f"{host.get('distribution', '')} {host.get('version', '')}"
    if release not in needs.releases:
        known = ", ".join(needs.releases)
        yield Problem("RELEASE", f"must run one of: {known}; runs {release}", "install a supported release")
    if _version(str(host.get("python", ""))) < needs.python:
        least = ".".join(str(part) for part in needs.python)
        yield Problem(
            "PYTHON",
            f"must have Python {least} or newer",
            "install python3, or set ansible_python_interpreter",
        )
    if host.get("service_manager") != "systemd":
        yield Problem("SYSTEMD", "must have been booted with systemd", "boot it with systemd as process 1")
    if host.get("memory_mb", 0) < needs.memory_mb:
        yield Problem("MEMORY", f"must have {needs.memory_mb} MiB of memory", "give the host more memory")
    free = host.get("disk_free_mb", {})
    # What has a file system of its own is judged there, everything else fills the root.
    for mount in ("/", "/var", "/var/lib"):
        if mount in free and free[mount] < needs.disk_free_mb:
            yield Problem(
                "DISK",
                f"must have {needs.disk_free_mb} MiB free in {mount}",
                f"make room in {mount}, or enlarge it",
            )
    if abs(host.get("clock_skew", 0.0)) > needs.clock_skew:
        yield Problem(
            "CLOCK",
            f"must have a clock within {needs.clock_skew:g} s of the controller's",
            "let systemd-timesyncd or chrony set it, and check the controller's own clock",
        )
    if host.get("cgroup_version") not in needs.cgroup_versions:
        known = " or ".join(str(version) for version in needs.cgroup_versions)
        yield Problem(
            "CGROUP",
            f"must use control groups of version {known}",
            "boot with systemd.unified_cgroup_hierarchy=1",
        )


def spread_problem(skews: Mapping[str, float], needs: Requirements) -> tuple[Problem, list[str]] | None:
    """Each clock may be near the controller's and two still too far from one another."""
    if not skews:
        return None
    slowest, fastest = min(skews, key=skews.__getitem__), max(skews, key=skews.__getitem__)
    if skews[fastest] - skews[slowest] <= needs.clock_skew:
        return None
    rule = f"must have clocks within {needs.clock_skew:g} s of one another"
    return Problem("CLOCK_SPREAD", rule, "let all hosts take the time from the same source"), [
        slowest,
        fastest,
    ]


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()

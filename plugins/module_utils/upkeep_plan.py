# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monthly upkeep would do, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What nobody stands in for, and what becomes of it meanwhile.
_INTERRUPTED = {
    "database": "the database does not answer while its packages are replaced or the host is restarted; the application answers 503",
    "logs": "nothing is lost: hosts keep their log lines in queues until the collector is back",
    "app": "it is the only application host: requests fail while the application or the host is restarted",
    "edge": "it is the only edge: connections are refused while nginx or the host is restarted",
}
_DRAINED = {
    "app": "taken out of the balance: the edges use the other application hosts",
    "edge": "taken out of the balance: clients get a reset and have to use another edge's address",
}
_ENGINE = ("docker.io", "docker-ce", "docker-cli", "containerd", "containerd.io", "runc")


def lines(hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, list[str]]) -> list[str]:
    """`hosts` in their order, each with what the role has found there."""
    told: list[str] = []
    for number, (host, found) in enumerate(hosts.items(), start=1):
        own = [group for group in ("logs", "database", "app", "edge") if host in groups.get(group, ())]
        told += [f"{number}. {host} ({', '.join(own)})", *(f"   {line}" for line in _host(found, own))]
    return told


def _host(found: Mapping[str, Any], groups: list[str]) -> Iterator[str]:
    updates = found["updates"]
    for update in updates:
        kind = " (security)" if update["security"] else ""
        yield f"{update['name']} {update['before'] or 'new'} -> {update['after']}{kind}"
    for update in found["held"]:
        yield f"held: {update['name']} {update['before']}, {update['after']} is there"
    if found["interrupted"]:
        yield "an earlier installation was interrupted; it is finished first"
    if found["stale"]:
        yield f"restart, because they run replaced files: {', '.join(found['stale'])}"
    if found["sessions"]:
        yield f"run replaced files until they end by themselves: {', '.join(found['sessions'])}"
    if any(update["name"].partition(":")[0] in _ENGINE for update in updates):
        yield "the container engine is among it: containers go on under it, and are restarted where their shim is an old one"
    yield from _reboot(found)
    if found["drained"]:
        yield f"out of the balance since {found['drained'].get('since', '?')} ({found['drained'].get('reason', '')}); it is brought back"
    yield from (f"NOT WELL: {problem}" for problem in found["problems"])
    busy = updates or found["stale"] or found["reboot"] or found["interrupted"]
    if not busy:
        yield "nothing to do" if not found["drained"] else "nothing to install"
    elif found["spared"]:
        yield from (_DRAINED[group] for group in groups if group in _DRAINED)
    else:
        yield from (_INTERRUPTED[group] for group in groups)


def _reboot(found: Mapping[str, Any]) -> Iterator[str]:
    if found["reboot"]:
        yield f"restart of the host: {'; '.join(found['reboot'])}"
    elif found["reboot_known"]:
        yield f"wants to be restarted, which -e reboot=never keeps it from: {'; '.join(found['reboot_known'])}"
    elif found["reboot_expected"]:
        yield f"restart of the host expected after {', '.join(found['reboot_expected'])}"

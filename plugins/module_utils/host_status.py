# SPDX-License-Identifier: GPL-3.0-or-later
"""How one host is, for whoever looks at the fleet. Reads only, and asks nobody but this host."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import host_facts, slot_links

# Runs a command: its output, or nothing where it fails or is not there.
Ask = Callable[[list[str]], str]

_RECORDS = (
    *("backup", "blocklist", "drain", "drill", "incident", "lock", "release", "rollout", "updates"),
    *("updates_pending", "upkeep"),
)
_UPKEEP = "etc/hardened/maintenance.json"
_CERTIFICATES = ("etc/hardened/pki/*.crt", "etc/hardened/edge/*.crt", "etc/hardened/acme/*.crt")
_EDGE = "var/lib/hardened/edge"
_SOCKETS = "/run/hardened-edge"
_TOLD = "var/lib/private/hardened-detection/told.json"
_END = "%b %d %H:%M:%S %Y %Z"


def collect(ask: Ask, root: Path = Path("/")) -> dict[str, Any]:
    """Everything at once; `root` lets a test describe a host with a directory."""
    records, unreadable = host_facts.records_of(root / "var/lib/hardened")
    status: dict[str, Any] = {
        "records": {name: records[name] for name in _RECORDS if name in records},
        "records_unreadable": unreadable,
        "units_failed": _failed(ask),
        "timers": _timers(ask),
        "certificates": _certificates(ask, root),
        "reboot_required": (root / "run/reboot-required").exists(),
        "disk_used": _disk_used(root),
        "upkeep_days": (_read(root / _UPKEEP) or {}).get("days") or {},
    }
    if (root / _EDGE).is_dir():
        status["edge"] = _edge(root)
    told = _read(root / _TOLD)
    if told is not None:
        waiting = told.get("waiting") or {}
        status["alerts_waiting"] = {name: len(alerts) for name, alerts in waiting.items() if alerts}
        status["hosts_silent"] = sorted(told.get("silent") or [])
    return status


def _read(path: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _failed(ask: Ask) -> list[str]:
    listed = ask(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--full"])
    return sorted(line.split()[0] for line in listed.splitlines() if line.strip())


def _timers(ask: Ask) -> list[dict[str, Any]]:
    """Our own; times are seconds since 1970, 0 where there is none."""
    try:
        listed = json.loads(ask(["systemctl", "list-timers", "--all", "--output=json", "hardened-*"]) or "[]")
    except ValueError:
        return []
    return [
        {"unit": one["unit"], "next": (one["next"] or 0) // 10**6, "last": (one["last"] or 0) // 10**6}
        for one in listed
    ]


def _certificates(ask: Ask, root: Path) -> dict[str, str]:
    """Path to the end of each certificate's time, RFC 3339 in UTC."""
    found = {}
    for pattern in _CERTIFICATES:
        for path in sorted(root.glob(pattern)):
            said = ask(["openssl", "x509", "-noout", "-enddate", "-in", str(path)]).strip()
            try:
                end = datetime.datetime.strptime(" ".join(said.partition("=")[2].split()), _END)
            except ValueError:
                continue
            found["/" + str(path.relative_to(root))] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    return found


def _disk_used(root: Path) -> dict[str, int]:
    """Percent, of file systems that are their own."""
    used = {}
    for name in ("/", "/var", "/var/log", "/var/lib/docker", "/var/lib/postgresql"):
        path = root / name.lstrip("/")
        if name == "/" or os.path.ismount(path):
            status = os.statvfs(path)
            used[name] = round(100 * (1 - status.f_bavail / status.f_blocks)) if status.f_blocks else 0
    return used


def _edge(root: Path) -> dict[str, Any]:
    revoked = root / _EDGE / "revoked"
    closed = root / _EDGE / "maintenance.json"
    return {
        "weights": slot_links.weights(slot_links.read(str(root / _EDGE / "slots"), _SOCKETS)),
        "maintenance": (_read(closed) or {"reason": "unreadable"}) if closed.exists() else {},
        "revoked": {path.name: _read(path) or {} for path in sorted(revoked.glob("*-*"))},
    }

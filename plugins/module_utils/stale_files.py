# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes still run what an update has replaced, and what has to be restarted for it; reads /proc, free of Ansible."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CODE = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ ..x. \S+ \S+ \d+ +(/(?:usr|lib|lib32|lib64|bin|sbin|opt)/.*) \(deleted\)$"
)
_CONTAINER = re.compile(r"/docker[/-]|/kubepods|/libpod|/lxc[./]")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?=/|$)")
_SHIM = "containerd-shim"
# What talks to everything else cannot be restarted under a running system.
NEEDS_REBOOT = ("dbus.service", "dbus-broker.service")
# Sessions of people end by themselves.
_SESSIONS = re.compile(r"(user@\d+\.service|session-[^/]+\.scope|user-runtime-dir@\d+\.service)")
# Later ones may need earlier ones; the engine's own come last, and what it runs after them.
_LAST = ("containerd.service", "docker.service")


@dataclass(frozen=True)
class Process:
    pid: int
    name: str
    # The unit of systemd that it belongs to; "init" for process 1; empty where there is none.
    unit: str
    files: tuple[str, ...]


@dataclass
class Verdict:
    """What has to be done about processes that run replaced files."""

    restart: list[str] = field(default_factory=list)
    reexec: bool = False
    # Containers run by a shim of before: only their own restart ends it.
    shims: bool = False
    reboot: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)


def stale(root: Path = Path("/proc")) -> list[Process]:
    """Processes of this host, not of its containers, that have code in memory whose file has been replaced."""
    return sorted(_stale(root), key=lambda process: process.pid)


def _stale(root: Path) -> Iterator[Process]:
    own = os.getpid()
    for entry in root.iterdir():
        if not entry.name.isdigit() or int(entry.name) == own:
            continue
        try:
            files = _deleted((entry / "maps").read_text(encoding="utf-8", errors="replace"))
            if not files:
                continue
            groups = (entry / "cgroup").read_text(encoding="utf-8")
            if _CONTAINER.search(groups):
                continue
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            # It has just ended.
            continue
        pid = int(entry.name)
        yield Process(pid, name, "init" if pid == 1 else unit_of(groups), tuple(files))


def _deleted(maps: str) -> list[str]:
    matches = (_CODE.match(line) for line in maps.splitlines() if line.endswith(" (deleted)"))
    return sorted({match[1] for match in matches if match})


def unit_of(groups: str) -> str:
    """The unit in what /proc/PID/cgroup says: of systemd's own hierarchy."""
    for line in groups.splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if (number == "0" and not controllers) or controllers == "name=systemd":
            # user@1000.service holds units of its own, which are the user's.
            if session := _SESSIONS.search(path):
                return session[1]
            units = _UNIT.findall(path)
            if units:
                return str(units[-1])
    return ""


def judge(processes: Iterable[Process]) -> Verdict:
    verdict = Verdict()
    units: set[str] = set()
    for process in processes:
        if process.unit == "init":
            verdict.reexec = True
        elif process.name.startswith(_SHIM):
            verdict.shims = True
        elif process.unit in NEEDS_REBOOT:
            verdict.reboot.append(f"{process.unit} runs {process.files[0]} of before")
        elif not process.unit or _SESSIONS.fullmatch(process.unit) or process.unit.endswith(".scope"):
            verdict.sessions.append(f"{process.name} ({process.pid})")
        else:
            units.add(process.unit)
    verdict.restart = sorted(units, key=lambda unit: (_LAST.index(unit) + 1 if unit in _LAST else 0, unit))
    verdict.reboot = sorted(set(verdict.reboot))
    return verdict


def down_seconds(shown: str, since: float) -> dict[str, float]:
    """How long each unit was not up since a moment, of what ``systemctl show`` says.

    :param since: microseconds since the boot, as systemd counts them.
    """
    found = {}
    for block in shown.split("\n\n"):
        said = dict(line.partition("=")[::2] for line in block.splitlines())
        left, back = (
            int(said.get(f"{when}TimestampMonotonic") or 0) for when in ("ActiveExit", "ActiveEnter")
        )
        if said.get("Id") and left > since and back > left:
            found[said["Id"]] = round((back - left) / 1e6, 2)
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary of a configuration set: what is wanted, what has to change, what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from .credentials import Credential
from .errors import PutBackFailed
from .nodes import Node

STATE_ROOT = "/var/lib/hardened/config_set"

# Called before each step with its name and subject; tests raise or kill from here.
Observer = Callable[[str, str], None]

STEPS = (
    "lock", "recover", "compare", "rehearse", "backup", "journal", "make", "stage", "rename", "remove", "attributes",
    "swapped", "daemon-reload", "enable", "act", "verify", "probe", "commit", "undo", "undo-services", "manifest",
    "previous", "forget",
)  # fmt: skip

# Strength of what a change asks of a service: the strongest of a set wins.
ACTIONS = ("none", "reload", "restart")


def ignore_step(_step: str, _subject: str) -> None:
    """The observer of production runs."""


@dataclass(frozen=True)
class FileSpec:
    path: str
    content: bytes | None = field(repr=False)  # None: the file has to be absent
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    secret: bool = False
    on_change: str | None = None
    credential: Credential | None = None  # the content lies on the host encrypted


@dataclass(frozen=True)
class DirectorySpec:
    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755
    purge: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class LinkSpec:
    path: str
    target: str


@dataclass(frozen=True)
class WatchSpec:
    path: str
    on_change: str | None = None


@dataclass(frozen=True)
class ServiceSpec:
    name: str
    state: str = "started"
    enabled: bool | None = None
    on_change: str = "reload"


@dataclass(frozen=True)
class ProbeSpec:
    command: tuple[str, ...] = ()
    tcp: str | None = None
    http: dict[str, Any] | None = field(default=None, repr=False)
    socket: str | None = None
    deadline: float = 30.0
    interval: float = 0.5


@dataclass(frozen=True)
class SetSpec:
    name: str
    files: tuple[FileSpec, ...] = ()
    directories: tuple[DirectorySpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    watch: tuple[WatchSpec, ...] = ()
    check: tuple[tuple[str, ...], ...] = ()
    services: tuple[ServiceSpec, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    keep: int = 1
    check_timeout: float = 60.0
    lock_timeout: float = 120.0
    digest: str = ""


@dataclass(frozen=True)
class Change:
    """One path's way from what lies there to what is wanted."""

    path: str
    before: Node
    after: Node
    trigger: str | None = None  # what it asks of the services; None: what each service says itself
    secret: bool = False

    def reversed(self) -> Change:
        return Change(self.path, self.after, self.before, self.trigger, self.secret)


@dataclass(frozen=True)
class Renewal:
    """A watched file that is no longer what the services took over last."""

    path: str
    word: str  # changed | appeared | disappeared
    trigger: str | None = None  # as that of a change


@dataclass(frozen=True)
class UnitState:
    """What systemd knows of a unit."""

    name: str
    found: bool = False
    running: bool = False
    starting: bool = False  # counts as running, but is not done yet
    failed: bool = False
    enabled: bool | None = False  # None: cannot be enabled or disabled (static, generated)
    stale: bool = False  # its unit file on disk is newer than what systemd has loaded
    description: str = "unknown"


@dataclass(frozen=True)
class ServiceStep:
    """What a run still owes to a unit, and how the unit was before."""

    name: str
    action: str  # none | reload | restart | start | stop
    enable: bool | None  # None: leave as it is
    was_running: bool
    was_enabled: bool | None
    was_failed: bool = False


@dataclass
class Outcome:
    changed: bool = False
    changes: list[Change] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)  # that a service takes over in this run
    action: str = "none"
    judged: bool = False
    recovered: str = "none"
    put_back: bool = False
    units: dict[str, str] = field(default_factory=dict)  # unit -> planned or done action
    warnings: list[str] = field(default_factory=list)
    past_secrets: tuple[str, ...] = field(
        default=(), repr=False
    )  # of the last run, to be masked in this one's diff

    def failed(self, error: Exception) -> None:
        """A failed run has changed nothing in the end, but for what it recovered first or could not put back."""
        self.changed = self.recovered != "none" or isinstance(error, PutBackFailed)
        self.action = "none"
        self.units = {}

    @property
    def files_changed(self) -> list[str]:
        return [change.path for change in self.changes]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A small universe for config_set: a file tree, its state directory, and a service manager that survives kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.engine import Engine
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import ServiceError
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import (
    DirectorySpec,
    FileSpec,
    LinkSpec,
    Observer,
    Outcome,
    ServiceSpec,
    SetSpec,
    UnitState,
    ignore_step,
)

ME, MY_GROUP = str(os.geteuid()), str(os.getegid())
BREAKS_SERVICE = b"BREAK"


class FakeManager:
    """systemd as config_set sees it. Its memory is a file, so a killed child leaves what it did behind.

    A unit really loads the configuration below `etc` when it starts, restarts or reloads, and refuses to
    while a file there holds BREAK: a mistake that only shows at run time.
    """

    def __init__(self, root: Path) -> None:
        self.memory = root / "systemd.json"
        self.etc = root / "etc"
        if not self.memory.exists():
            self._save({})

    def unit(self, name: str) -> dict[str, Any]:
        fresh: dict[str, Any] = {
            "running": False,
            "failed": False,
            "enabled": False,
            "loaded": None,
            "log": [],
        }
        return {**fresh, **json.loads(self.memory.read_text()).get(name, {})}

    def update(self, name: str, **values: Any) -> None:
        units = json.loads(self.memory.read_text())
        units[name] = {**self.unit(name), **values}
        self._save(units)

    def show(self, names: Sequence[str]) -> dict[str, UnitState]:
        states = {}
        for name in names:
            unit = self.unit(name)
            states[name] = UnitState(
                name, True, unit["running"], failed=unit["failed"], enabled=unit["enabled"]
            )
        return states

    def daemon_reload(self) -> None:
        pass

    def enable(self, names: Sequence[str]) -> None:
        for name in names:
            self.update(name, enabled=True)

    def disable(self, names: Sequence[str]) -> None:
        for name in names:
            self.update(name, enabled=False)

    def act(self, action: str, name: str) -> None:
        unit = self.unit(name)
        log = [*unit["log"], action]
        if action == "stop":
            self.update(name, running=False, failed=False, loaded=None, log=log)
        elif action == "reload" and not unit["running"]:
            raise ServiceError(f"{name} is not running")
        elif self._broken():
            if action == "reload":
                self.update(name, log=log)
            else:
                self.update(name, running=False, failed=True, loaded=None, log=log)
            raise ServiceError(f"{action} of {name} failed")
        else:
            self.update(name, running=True, failed=False, loaded=contents(self.etc), log=log)

    def reset_failed(self, name: str) -> None:
        self.update(name, failed=False)

    def last_words(self, name: str) -> str:
        return f"\nlast journal lines of {name}:\n  it hurts"

    def _broken(self) -> bool:
        return any(BREAKS_SERVICE.decode() in text for text in contents(self.etc).values())

    def _save(self, units: dict[str, Any]) -> None:
        new = self.memory.with_suffix(".new")
        new.write_text(json.dumps(units))
        new.replace(self.memory)


def contents(tree: Path) -> dict[str, str]:
    """What a service would read: all files and links below tree."""
    found: dict[str, str] = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            found[name] = path.read_text()
    return found


class Universe:
    def __init__(self, root: Path | None = None) -> None:
        # In memory where possible: the engine syncs often, which is not what most tests are about.
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = root or Path(tempfile.mkdtemp(prefix="config_set_test-", dir=place))
        self.etc = self.root / "etc"
        self.etc.mkdir(exist_ok=True)
        self.state = self.root / "state"
        self.manager = FakeManager(self.root)

    def close(self) -> None:
        shutil.rmtree(self.root)

    def path(self, name: str) -> str:
        return str(self.etc / name)

    def file(self, name: str, content: bytes | None, mode: int = 0o644, **more: Any) -> FileSpec:
        return FileSpec(self.path(name), content, ME, MY_GROUP, mode, **more)

    def directory(self, name: str, **more: Any) -> DirectorySpec:
        return DirectorySpec(self.path(name).rstrip("/"), ME, MY_GROUP, **more)

    def link(self, name: str, target: str) -> LinkSpec:
        return LinkSpec(self.path(name), target)

    def engine(self, spec: SetSpec, observe: Observer = ignore_step) -> Engine:
        return Engine(spec, self.manager, str(self.state), observe)

    def apply(self, spec: SetSpec, observe: Observer = ignore_step) -> Outcome:
        return self.engine(spec, observe).apply()

    def apply_and_die(self, spec: SetSpec, step: int | str) -> bool:
        """Apply in a child that kills itself before a step, given by number or name; False when it never got there."""
        child = os.fork()
        if child == 0:
            try:
                self.apply(spec, at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL)))
            finally:
                os._exit(0)
        _pid, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)

    def snapshot(self) -> dict[str, str]:
        """Every path below etc with everything that a run may change of it."""
        found: dict[str, str] = {}
        for path in sorted(self.etc.rglob("*")):
            info = path.lstat()
            text = f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid}"
            if path.is_symlink():
                text = "-> " + os.readlink(path)
            elif path.is_file():
                text += f" {path.read_text()!r}"
            found[str(path.relative_to(self.etc))] = text
        return found

    def services(self) -> dict[str, Any]:
        """State of all units but for the log of what was done to them."""
        names = {"demo.service", *json.loads(self.manager.memory.read_text())}
        return {name: {k: v for k, v in self.manager.unit(name).items() if k != "log"} for name in names}

    def state_files(self) -> list[str]:
        return sorted(str(path.relative_to(self.state)) for path in self.state.rglob("*"))


def at_step(wanted: int | str, deed: Callable[[], object]) -> Observer:
    """An observer that does its deed before a step, given by number (from 0) or name."""
    count = -1

    def observe(step: str, _subject: str) -> None:
        nonlocal count
        count += 1
        if wanted in (count, step):
            deed()

    return observe


def raise_error() -> NoReturn:
    raise OSError("injected")


def service(on_change: str = "reload", **more: Any) -> ServiceSpec:
    return ServiceSpec("demo.service", on_change=on_change, **more)

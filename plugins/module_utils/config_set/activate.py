# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the services take over the set that now lies in place, and gives them back their old one when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Callable, Protocol

from .errors import ConfigSetError, ServiceError
from .journal import Journal
from .model import ACTIONS, Change, Observer, Renewal, ServiceSpec, ServiceStep, UnitState

Owed = dict[str, str]
STARTING = ("start", "restart", "reload")


class ServiceManager(Protocol):
    def show(self, names: Sequence[str]) -> dict[str, UnitState]: ...

    def daemon_reload(self) -> None: ...

    def enable(self, names: Sequence[str]) -> None: ...

    def disable(self, names: Sequence[str]) -> None: ...

    def act(self, action: str, name: str) -> None: ...

    def reset_failed(self, name: str) -> None: ...

    def last_words(self, name: str) -> str: ...


def plan_step(
    spec: ServiceSpec, unit: UnitState, changes: Sequence[Change | Renewal], owed: str = "none"
) -> ServiceStep:
    """What the unit needs, from its state now, what has changed for it, and what an earlier run still owes it."""
    asked = _strongest([owed, *(_asks(change, spec) for change in changes)])
    action = "none"
    if spec.state == "stopped":
        action = "stop" if unit.running else "none"
    elif unit.running:
        action = asked
    elif spec.state == "started":
        action = "start"
    enable = spec.enabled if spec.enabled is not None and unit.enabled not in (spec.enabled, None) else None
    return ServiceStep(spec.name, action, enable, unit.running, unit.enabled, unit.failed)


def is_idle(step: ServiceStep) -> bool:
    return step.action == "none" and step.enable is None


def _asks(change: Change | Renewal, spec: ServiceSpec) -> str:
    if spec.on_change == "none":
        return "none"
    return change.trigger or spec.on_change


def _strongest(actions: Sequence[str]) -> str:
    return max(actions, key=ACTIONS.index, default="none")


def activate(journal: Journal, manager: ServiceManager, observe: Observer) -> None:
    """Reload, enable, act, verify and probe as the journal says."""
    if journal.daemon_reload:
        observe("daemon-reload", "")
        manager.daemon_reload()
    _set_enabled([step for step in journal.steps if step.enable is not None], manager, observe)
    for step in journal.steps:
        if step.action != "none":
            observe("act", f"{step.action} {step.name}")
            manager.act(step.action, step.name)
    _verify([step.name for step in journal.steps if step.action in STARTING], manager, observe)
    from .probe import wait_for  # only a set that changes pays for it

    for probe in journal.probes:
        observe("probe", "")
        try:
            wait_for(probe)
        except ConfigSetError as error:
            words = "".join(manager.last_words(step.name) for step in journal.steps if step.action != "none")
            raise type(error)(f"{error}{words}") from None


def _set_enabled(steps: Sequence[ServiceStep], manager: ServiceManager, observe: Observer) -> None:
    for wanted, call in ((True, manager.enable), (False, manager.disable)):
        names = [step.name for step in steps if step.enable is wanted]
        if names:
            observe("enable", " ".join(names))
            call(names)


def _verify(names: Sequence[str], manager: ServiceManager, observe: Observer) -> None:
    """A unit may die right after systemctl reported success."""
    if not names:
        return
    observe("verify", " ".join(names))
    for name, unit in manager.show(names).items():
        if not unit.running:
            raise ServiceError(f"{name} is {unit.description} after its start{manager.last_words(name)}")


def stop_newcomers(journal: Journal, manager: ServiceManager, observe: Observer) -> list[str]:
    """First half of the way back, while the new files are still there: what did not run before stops again."""
    errors: list[str] = []
    units: dict[str, UnitState] = {}
    _attempt(errors, lambda: units.update(manager.show([step.name for step in journal.steps])))
    for step in journal.steps:
        if step.name not in units or not units[step.name].found:
            continue
        if step.action in STARTING and not step.was_running:
            observe("undo-services", step.name)
            _attempt(errors, partial(manager.act, "stop", step.name))
            if not step.was_failed:
                manager.reset_failed(step.name)
        if step.enable is not None and step.was_enabled is not None:
            _attempt(errors, partial(manager.enable if step.was_enabled else manager.disable, [step.name]))
    return errors


def revive(journal: Journal, manager: ServiceManager, observe: Observer) -> list[str]:
    """Second half, the old files being back: what ran before runs on them again."""
    errors: list[str] = []
    if journal.daemon_reload:
        _attempt(errors, manager.daemon_reload)
    steps = [step for step in journal.steps if step.was_running and step.action != "none"]
    names = [step.name for step in steps]
    units: dict[str, UnitState] = {}
    _attempt(errors, lambda: units.update(manager.show(names)))
    for step in steps:
        running = step.name in units and units[step.name].running
        if running and not journal.changes and not journal.owed:
            continue  # no file came back: it would only be asked once more for what it has just refused
        observe("undo-services", step.name)
        reload = step.action == "reload" and running
        _attempt(errors, partial(manager.act, "reload" if reload else "restart", step.name))
    if not errors:
        _attempt(errors, partial(_verify, names, manager, observe))
    return errors


def owed_after_failed_way_back(journal: Journal) -> Owed:
    """Units that may still run on anything: whatever comes next has to reach them."""
    owed: Owed = {}
    for step in journal.steps:
        if step.was_running and step.action != "none":
            owed[step.name] = step.action if step.action in ACTIONS else "restart"
    return owed


def _attempt(errors: list[str], call: Callable[[], object]) -> None:
    try:
        call()
    except ServiceError as error:
        errors.append(str(error))

# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of a configuration set, from the recovery of a killed one to the commit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .activate import STARTING, Owed, ServiceManager, activate, is_idle, plan_step
from .compare import Comparison, compare
from .errors import ConfigSetError, Problems, RehearsalImpossible, Rejected
from .journal import COMMITTED, PREPARED, SWAPPED, Book, Journal
from .manifest import Manifest, other_owners, read_manifest, write_json
from .model import (
    STATE_ROOT,
    Change,
    Observer,
    Outcome,
    Renewal,
    ServiceStep,
    SetSpec,
    UnitState,
    ignore_step,
)
from .process import find_program
from .recovery import Recovery, foreseen, words
from .swap import swap
from .systemd import is_unit_file


class Engine:
    """Brings a host to a set (apply) or says what that would do (plan). `outcome` is valid also after a failure."""

    def __init__(
        self,
        spec: SetSpec,
        manager: ServiceManager,
        state_root: str = STATE_ROOT,
        observe: Observer = ignore_step,
    ) -> None:
        self.spec = spec
        self.manager = manager
        self.state_root = state_root
        self.directory = os.path.join(state_root, spec.name)
        self.observe = observe
        self.book = Book(self.directory, observe)
        self.recovery = Recovery(self.book, manager, observe)
        self.outcome = Outcome()

    # -- the verbs -----------------------------------------------------------------------------------------------

    def apply(self) -> Outcome:
        try:
            os.makedirs(self.state_root, 0o700, exist_ok=True)
            os.makedirs(self.directory, 0o700, exist_ok=True)
        except PermissionError as error:
            raise ConfigSetError(f"{error}: config_set needs root, use become: true") from None
        self.observe("lock", self.spec.name)
        with _locked(os.path.join(self.directory, "lock"), self.spec.lock_timeout):
            owed = self._recover()
            comparison, manifest = self._compare()
            if comparison.unknown_accounts:
                raise Problems(comparison.unknown_accounts)
            units = self.manager.show([service.name for service in self.spec.services])
            steps = self._steps(comparison, units, owed)
            wanted = Manifest.of(self.spec, comparison.made, comparison.watched)
            if not comparison.changes and all(map(is_idle, steps)):
                self._settle(manifest, wanted)
                return self.outcome
            self._describe(comparison, steps)
            self._judge(comparison)
            self._carry_out(self._journal(comparison, steps, units, wanted, owed))
        return self.outcome

    def plan(self) -> Outcome:
        """Check mode: reads only, but lets the checkers judge the future set where that is possible."""
        journal = self.book.read()
        if journal is not None:
            self.outcome.changed = True
            self.outcome.recovered = foreseen(journal)
            self.outcome.warnings.append(
                "an earlier run was killed; the next run without check mode picks it up first"
            )
        comparison, manifest = self._compare(planning=True)
        steps = self._steps(comparison, self._show_leniently(), {})
        if comparison.changes or not all(map(is_idle, steps)):
            self._describe(comparison, steps)
            self._judge_leniently(comparison, known=manifest is not None)
        return self.outcome

    def is_settled(self, units: dict[str, UnitState]) -> bool:
        """Whether apply would find nothing to do, not even for its records, the units being as given; reads only."""
        if self.book.read() is not None:
            return False
        comparison, manifest = self._compare()
        if comparison.changes or comparison.unknown_accounts:
            return False
        wanted = Manifest.of(self.spec, comparison.made, comparison.watched)
        return manifest == wanted and all(map(is_idle, self._steps(comparison, units, {})))

    def _recover(self) -> Owed:
        self.observe("recover", self.spec.name)
        recovered = self.recovery.recover()
        self.outcome.recovered = recovered.kind
        self.outcome.changed = recovered.kind != "none"
        self.outcome.warnings += recovered.warnings
        return recovered.owed

    # -- looking -------------------------------------------------------------------------------------------------

    def _compare(self, planning: bool = False) -> tuple[Comparison, Manifest | None]:
        self.observe("compare", self.spec.name)
        manifest = read_manifest(self.state_root, self.spec.name)
        if manifest is not None:
            self.outcome.past_secrets = manifest.secrets
        others = other_owners(self.state_root, self.spec.name)
        comparison = compare(self.spec, manifest or Manifest(), others, planning)
        self.outcome.changes = comparison.changes
        return comparison, manifest

    def _steps(self, comparison: Comparison, units: dict[str, UnitState], owed: Owed) -> list[ServiceStep]:
        changed: list[Change | Renewal] = [*comparison.changes, *comparison.renewals]
        return [
            plan_step(service, units[service.name], changed, owed.get(service.name, "none"))
            for service in self.spec.services
        ]

    def _show_leniently(self) -> dict[str, UnitState]:
        names = [service.name for service in self.spec.services]
        try:
            return self.manager.show(names)
        except ConfigSetError as error:
            self.outcome.warnings.append(f"{error}; the plan assumes that no unit runs yet")
            return {name: UnitState(name) for name in names}

    def _describe(self, comparison: Comparison, steps: list[ServiceStep]) -> None:
        self.outcome.changed = True
        if any(step.action in STARTING for step in steps):
            self.outcome.renewals = comparison.renewals
        self.outcome.units = {step.name: step.action for step in steps if step.action != "none"}
        ranking = ("none", "stop", "reload", "start", "restart")
        self.outcome.action = max(self.outcome.units.values(), key=ranking.index, default="none")

    # -- judging -------------------------------------------------------------------------------------------------

    def _judge(self, comparison: Comparison) -> None:
        missing = self._missing_checkers()
        if missing:
            raise Problems(
                f"check: the program {name} is not installed, so the set cannot be judged; install it first"
                for name in missing
            )
        self._rehearse(comparison, self.directory)

    def _judge_leniently(self, comparison: Comparison, known: bool) -> None:
        missing = self._missing_checkers()
        if missing:
            self.outcome.warnings.append(f"not judged: {', '.join(missing)} is not installed yet")
        elif comparison.unknown_accounts and self.spec.check:
            self.outcome.warnings.append(f"not judged: {'; '.join(comparison.unknown_accounts)} yet")
        else:
            try:
                self._rehearse(comparison, self.directory if os.path.isdir(self.directory) else None)
            except RehearsalImpossible as error:
                self.outcome.warnings.append(f"not judged: {error}")
            except Rejected as error:
                # Before its first installation a set may refer to what earlier tasks only pretended to make.
                if known:
                    raise
                self.outcome.warnings.append(
                    f"{error}\nThis may be for want of things that a real run makes first."
                )

    def _missing_checkers(self) -> list[str]:
        return sorted({argv[0] for argv in self.spec.check if find_program(argv[0]) is None})

    def _rehearse(self, comparison: Comparison, state: str | None) -> None:
        if not self.spec.check:
            return
        from .rehearse import rehearse  # only a set that changes pays for it

        self.observe("rehearse", self.spec.name)
        try:
            rehearse(comparison.changes, self.spec.check, self.spec.check_timeout, _token(), state)
        except Rejected:
            self.outcome.judged = True
            raise
        self.outcome.judged = True

    # -- changing ------------------------------------------------------------------------------------------------

    def _journal(
        self,
        comparison: Comparison,
        steps: list[ServiceStep],
        units: dict[str, UnitState],
        wanted: Manifest,
        owed: Owed,
    ) -> Journal:
        changes = tuple(comparison.changes)
        acting = any(step.action in ("start", "restart", "reload") for step in steps)
        return Journal(
            token=_token(),
            phase=PREPARED,
            changes=changes,
            steps=tuple(step for step in steps if not is_idle(step)),
            probes=self.spec.probes,
            daemon_reload=any(is_unit_file(change.path) for change in changes)
            or (acting and any(unit.stale for unit in units.values())),
            manifest=wanted,
            keep=self.spec.keep,
            owed=bool(owed),
        )

    def _carry_out(self, journal: Journal) -> None:
        self.book.open(journal)
        try:
            swap(journal.changes, journal.token, self.observe)
            self.observe("swapped", self.spec.name)
            journal = self.book.advance(journal, SWAPPED)
            activate(journal, self.manager, self.observe)
            self.observe("commit", self.spec.name)
            journal = self.book.advance(journal, COMMITTED)
        except Exception as error:
            self.recovery.way_back(journal, error)
            self.outcome.put_back = bool(journal.changes)
            end = "The previous set is back in place."
            if not journal.changes:
                end = "No file of the set had changed, so none was put back; the next run tries again."
            raise ConfigSetError(f"{words(error)}\n{end}") from error
        self.book.close_committed(journal)

    def _settle(self, manifest: Manifest | None, wanted: Manifest) -> None:
        """Everything is as wanted; only the records may have to catch up."""
        if manifest != wanted:
            write_json(os.path.join(self.directory, "manifest.json"), wanted.to_json())
        journal = self.book.read()
        if journal is not None:
            self.book.forget(journal)


def _token() -> str:
    return os.urandom(4).hex()


@contextmanager
def _locked(path: str, timeout: float) -> Iterator[None]:
    """One run of a set at a time; the kernel frees the lock of a killed one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ConfigSetError(
                        f"another run of this set holds {path} for {timeout:g} s already"
                    ) from None
                time.sleep(0.2)
        yield
    finally:
        os.close(descriptor)

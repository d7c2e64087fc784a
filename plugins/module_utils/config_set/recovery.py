# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways out of a run that did not reach its end: finish it, or go back to the previous set.

The rule: until every file of the set is in place (PREPARED) a run is undone, no service has seen it. From then on
(SWAPPED) it is finished: the services are owed their reload, and the probe decides. If that fails, it is undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .activate import Owed, ServiceManager, activate, owed_after_failed_way_back, revive, stop_newcomers
from .errors import ConfigSetError, PutBackFailed
from .journal import COMMITTED, PREPARED, SWAPPED, UNDOING, Book, Journal
from .model import Observer
from .swap import put_back, sweep


@dataclass(frozen=True)
class Recovered:
    kind: str = "none"  # none | finished | undone
    warnings: list[str] = field(default_factory=list)
    owed: Owed = field(default_factory=dict)  # what could not be given back to which unit


class Recovery:
    def __init__(self, book: Book, manager: ServiceManager, observe: Observer) -> None:
        self.book = book
        self.manager = manager
        self.observe = observe

    def recover(self) -> Recovered:
        """Pick up what a killed run left."""
        journal = self.book.read()
        self.book.remove_leftovers(journal)
        if journal is None:
            return Recovered()
        warnings: list[str] = []
        if journal.phase == SWAPPED:
            try:
                activate(journal, self.manager, self.observe)
                journal = self.book.advance(journal, COMMITTED)
            except ConfigSetError as error:
                warnings.append(f"an earlier, killed run could not be finished and is undone: {error}")
        if journal.phase == COMMITTED:
            self.book.close_committed(journal)
            return Recovered("finished", warnings)
        errors = self._undo(journal)
        if errors:
            # The set to come is judged before it is used; it may well be the repair, so do not stop here.
            warnings.append("while undoing an earlier run: " + "\n".join(errors))
            return Recovered("undone", warnings, owed_after_failed_way_back(journal))
        self.book.forget(journal)
        return Recovered("undone", warnings)

    def way_back(self, journal: Journal, cause: Exception) -> None:
        """After a failure: the previous set back in place, or PutBackFailed with both reasons."""
        try:
            errors = self._undo(journal)
        except Exception as error:
            errors = [words(error)]
        if errors:
            what = "the previous set" if journal.changes else "the service"
            raise PutBackFailed(
                f"{words(cause)}\nand {what} could not be brought back either:\n"
                + "\n".join(errors)
                + "\nThe journal is kept: repair the cause and run again."
            ) from cause
        self.book.forget(journal)

    def _undo(self, journal: Journal) -> list[str]:
        """Files back, services back on them; errors of services are returned, as the files matter more."""
        self.observe("undo", journal.phase)
        errors: list[str] = []
        services = journal.phase != PREPARED or journal.owed
        if services:
            journal = self.book.advance(journal, UNDOING)
            errors += stop_newcomers(journal, self.manager, self.observe)
        sweep(journal.changes, journal.token)
        put_back(journal.changes, journal.token, self.observe)
        if services:
            errors += revive(journal, self.manager, self.observe)
        return errors


def foreseen(journal: Journal) -> str:
    """What a recovery is going to do, short of surprises."""
    return "finished" if journal.phase in (SWAPPED, COMMITTED) else "undone"


def words(error: Exception) -> str:
    return str(error) if isinstance(error, ConfigSetError) else f"{type(error).__name__}: {error}"

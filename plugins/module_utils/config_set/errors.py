# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a configuration set, one class per way of answering it."""

from __future__ import annotations

from collections.abc import Iterable


class ConfigSetError(Exception):
    """Nothing was changed, or what was changed has been put back."""


class Problems(ConfigSetError):
    """Several independent mistakes, reported together."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class Rejected(ConfigSetError):
    """The service's own checker refused the staged set."""

    def __init__(self, command: str, words: str) -> None:
        self.words = words
        super().__init__(f"rejected by its own checker `{command}`:\n{words}")


class RehearsalImpossible(ConfigSetError):
    """The staged set cannot be shown to a checker without touching the live one."""


class ServiceError(ConfigSetError):
    """systemd refused or a unit did not reach the wanted state."""


class ProbeError(ConfigSetError):
    """The service runs but does not do its work."""


class PutBackFailed(ConfigSetError):
    """The new set failed and so did the way back; the journal is kept for the next run."""

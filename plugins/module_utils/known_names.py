# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of very many names occur in a secret: for fleets too big to try each name on each secret."""

from __future__ import annotations

import re
from collections.abc import Iterable

MIN_LENGTH = 6
_SEPARATORS = re.compile(r"[\W_]")


def folded(text: str) -> str:
    return _SEPARATORS.sub("", text.casefold())


def labels(name: str) -> list[str]:
    """A name and, of a domain, its labels: those that are long enough to mean something."""
    parts = [name, *name.split(".")] if "." in name else [name]
    return [part for part in parts if len(folded(part)) >= MIN_LENGTH]


class NameIndex:
    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[int, dict[str, str]] = {}
        for name in names:
            for part in labels(name):
                short = folded(part)
                self._names.setdefault(len(short), {}).setdefault(short, part)

    def inside(self, text: str) -> list[str]:
        """The names that `text` contains, whatever their case and separators."""
        short = folded(text)
        found = []
        for length, names in self._names.items():
            for start in range(len(short) - length + 1):
                name = names.get(short[start : start + length])
                if name is not None:
                    found.append(name)
        return found

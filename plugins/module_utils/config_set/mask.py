# SPDX-License-Identifier: GPL-3.0-or-later
"""Hides secret values in everything that leaves the host: messages, diffs, results."""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import Pattern
from typing import Any

MASK = "********"
SHORTEST = 4  # a shorter value would garble every message without hiding anything
SHORTEST_WORD = 6
_WORD_BREAKS = re.compile(r"[\s\"'=;,:{}()\[\]<>]+")


class Masker:
    def __init__(self, values: Iterable[str]) -> None:
        wanted = {value for value in values if len(value) >= SHORTEST}
        self._pattern: Pattern[str] | None = None
        if wanted:
            # The longest first, so that a value is not hidden by halves because another begins like it.
            alternatives = sorted(wanted, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(value) for value in alternatives))

    def text(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def hides(self, text: str) -> bool:
        return bool(self._pattern and self._pattern.search(text))

    def spans(self, line: str) -> Pattern[str] | None:
        """A pattern for lines that differ from line in its secrets only; None when it holds none."""
        if not self._pattern or not self._pattern.search(line):
            return None
        return re.compile("(.+?)".join(re.escape(part) for part in self._pattern.split(line)))

    def deep(self, value: Any) -> Any:
        """The same structure with every string masked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.deep(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.deep(item) for item in value]
        return value


def values_of(
    secrets: Iterable[str], secret_contents: Iterable[bytes], public_words: Iterable[str]
) -> set[str]:
    """Everything to hide: the values, their lines, and the lines and words of files that are secret as a whole."""
    values: set[str] = set()
    for secret in secrets:
        values.update((secret, *other_spellings(secret)))
        values.update(line.strip() for line in secret.splitlines() if len(line.strip()) >= SHORTEST_WORD)
    public = set(public_words)
    for content in secret_contents:
        values.update(word for word in words_of(content) if len(word) >= SHORTEST_WORD and word not in public)
    return values


def words_of(content: bytes) -> set[str]:
    text = content.decode("utf-8", "replace")
    return {line.strip() for line in text.splitlines()} | set(_WORD_BREAKS.split(text))


def other_spellings(secret: str) -> list[str]:
    """How templates commonly write a value: quoted as JSON, as base64, or percent-encoded."""
    import base64
    import json
    from urllib.parse import quote

    encoded = base64.b64encode(secret.encode()).decode()
    return [json.dumps(secret)[1:-1], encoded, quote(secret), quote(secret, safe="")]

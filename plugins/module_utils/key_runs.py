# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs along the alphabet, the digits, and the keyboard, as fingers make them and generators do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

_ROWS = ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./")
_SHIFTED = str.maketrans('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./")
_PLACE = {char: (row, column) for row, keys in enumerate(_ROWS) for column, char in enumerate(keys)}
_Step = Optional[tuple[int, int]]


def is_sequence(value: str) -> bool:
    """8 in a row, or so much of the value in shorter runs that chance does not explain it."""
    codes = [ord(char) for char in value]
    if _longest(_steps(codes, 1)) >= 8:
        return True
    keys = value.lower().translate(_SHIFTED)
    straight = _covered(_steps(codes, 3), 4) | _covered(_key_steps(keys), 4)
    if len(straight) >= 0.4 * len(value):
        return True
    near: list[_Step] = [None if step is None else (9, 9) for step in _key_steps(keys)]
    return len(_covered(near, 5)) >= 0.6 * len(value)


def _steps(codes: list[int], limit: int) -> list[_Step]:
    return [(0, b - a) if abs(b - a) <= limit else None for a, b in zip(codes, codes[1:])]


def _key_steps(keys: str) -> list[_Step]:
    return [_key_step(a, b) for a, b in zip(keys, keys[1:])]


def _key_step(a: str, b: str) -> _Step:
    here, there = _PLACE.get(a), _PLACE.get(b)
    if here is None or there is None:
        return None
    step = (there[0] - here[0], there[1] - here[1])
    return step if step != (0, 0) and max(abs(step[0]), abs(step[1])) == 1 else None


def _runs(steps: list[_Step]) -> Iterator[tuple[int, int]]:
    """First position and number of characters of each run of one and the same step."""
    start = 0
    for index in range(1, len(steps) + 1):
        if index == len(steps) or steps[index] != steps[start]:
            if steps[start] is not None:
                yield start, index - start + 1
            start = index


def _longest(steps: list[_Step]) -> int:
    return max((length for _start, length in _runs(steps)), default=0)


def _covered(steps: list[_Step], least: int) -> set[int]:
    return {
        place for start, length in _runs(steps) if length >= least for place in range(start, start + length)
    }

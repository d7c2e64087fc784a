# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs along the alphabet, the digits, and the keyboard, as fingers make them and generators do not."""

from __future__ import annotations

import functools
import operator
import re
from itertools import repeat

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import alphabet

_ROWS = ("`1234567890-=", "qwertyuiop[]\\", "asdfghjkl;'", "zxcvbnm,./")
SHIFTED = str.maketrans('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./")
# Columns lean to the left: 1 q a z.
PLACE = {
    char: (row, column - (row == 0)) for row, keys in enumerate(_ROWS) for column, char in enumerate(keys)
}
# A value is turned into a text of its steps: a letter for each, or a dot for one that is too wide.
_NONE = "."
_CODE_STEPS = dict(zip(range(-3, 4), "gecabdf"))
_LONG_RUN, _LONG_HEX_RUN = re.compile(r"([abc])\1{6}"), re.compile(r"([abc])\1{8}")
_STRAIGHT = re.compile(r"([a-z])\1{2,}")
_NEAR = re.compile(r"[a-z]{4,}")


def is_sequence(value: str) -> bool:
    """Also where two sequences take turns, as two hands do."""
    return _is_one_sequence(value) or (_is_one_sequence(value[::2]) and _is_one_sequence(value[1::2]))


def _is_one_sequence(value: str) -> bool:
    """8 in a row, or so much of the value in shorter runs that chance does not explain it; more of both in hexadecimal."""
    is_hex = alphabet.size(value) <= 16
    codes = list(map(ord, value))
    steps = "".join(map(_CODE_STEPS.get, map(operator.sub, codes[1:], codes), repeat(_NONE)))
    if (_LONG_HEX_RUN if is_hex else _LONG_RUN).search(steps):
        return True
    keys = value.lower().translate(SHIFTED)
    key_steps = "".join(map(_key_steps().get, zip(keys, keys[1:]), repeat(_NONE)))
    straight = _covered(_STRAIGHT, steps) | _covered(_STRAIGHT, key_steps)
    return len(straight) >= (0.5 if is_hex else 0.4) * len(value) or len(
        _covered(_NEAR, key_steps)
    ) >= 0.6 * len(value)


def _covered(runs: re.Pattern[str], steps: str) -> set[int]:
    """Places in the value that the runs take up: one more than they have steps."""
    return {place for run in runs.finditer(steps) for place in range(run.start(), run.end() + 1)}


@functools.cache
def _key_steps() -> dict[tuple[str, str], str]:
    """A letter for each of the eight ways from a key to one that touches it."""
    names: dict[tuple[int, int], str] = {}
    table = {}
    for here, (row, column) in PLACE.items():
        for there, (other_row, other_column) in PLACE.items():
            way = (other_row - row, other_column - column)
            if max(map(abs, way)) == 1:
                table[(here, there)] = names.setdefault(way, "hijklmno"[len(names) % 8])
    return table

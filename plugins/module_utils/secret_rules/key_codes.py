# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value is better explained by fingers that play on the keyboard than by chance; see human_code for why."""

from __future__ import annotations

import functools
import math
from itertools import repeat

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import alphabet
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.human_code import (
    MARGIN,
    STEP,
    case_cost,
    cost,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.key_runs import PLACE, SHIFTED

_HOME, _ABOVE = "asdfghjkl", "qweruiop"
# Shares of a masher's keys.
_ON_HOME, _ON_ABOVE, _ELSEWHERE = cost(0.6 / 9), cost(0.39 / 8), cost(0.01 / 90)
# This code is short for more values than the others, so that it has to win by more.
_MASH_MARGIN = 14 * STEP
_JUMP, _FIRST_KEY = cost(0.12 / 48), cost(1 / 48)


def is_played(value: str) -> bool:
    folded = value.lower()
    chance = len(value) * math.log2(alphabet.size(value)) * STEP - case_cost(value)
    return mash_cost(folded) <= chance - _MASH_MARGIN or walk_cost(folded) <= chance - MARGIN


def mash_cost(folded: str) -> int:
    return sum(map(_mash().get, folded, repeat(_ELSEWHERE)))


def walk_cost(folded: str) -> int:
    keys = folded.translate(SHIFTED)
    # A bit says which of its two signs a key is pressed for; letters have their case instead.
    signs = len(folded) - sum(map(str.isalpha, folded))
    return signs * STEP + _FIRST_KEY + sum(map(_steps().get, zip(keys, keys[1:]), repeat(_JUMP)))


@functools.cache
def _mash() -> dict[str, int]:
    return {**dict.fromkeys(_HOME, _ON_HOME), **dict.fromkeys(_ABOVE, _ON_ABOVE)}


@functools.cache
def _steps() -> dict[tuple[str, str], int]:
    """The same key, or one that touches it."""
    table = {}
    for key, (row, column) in PLACE.items():
        near = [k for k, (r, c) in PLACE.items() if max(abs(r - row), abs(c - column)) <= 1]
        table.update({(key, other): cost(0.88 / len(near)) for other in near})
    return table

# SPDX-License-Identifier: GPL-3.0-or-later
"""No false alarm by arithmetic: what people type is judged by proper codes, whose shares of all values add up to 1 at most."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import (
    human_code,
    key_codes,
)

_TYPED = [chr(code) for code in range(32, 127)]
_FOLDED = [char for char in _TYPED if not char.isupper()]


def _share(cost: Callable[[str], float], alphabet: list[str], length: int) -> float:
    return sum(2 ** (-cost("".join(value)) / human_code.STEP) for value in product(alphabet, repeat=length))


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("case", [human_code.CAPITALISED, human_code.ANY_CASE])
@pytest.mark.parametrize("leet", [human_code.SELDOM, human_code.SOMETIMES, human_code.OFTEN])
def test_words_are_a_code(length: int, case: human_code.Case, leet: float) -> None:
    assert 0.2 < _share(lambda value: human_code.words_cost(value, leet, case), _TYPED, length) <= 1


def test_words_without_case_are_a_code() -> None:
    cost = human_code.words_cost
    assert _share(lambda value: cost(value, human_code.SELDOM, human_code.NO_CASE), _FOLDED, 2) <= 1


@pytest.mark.parametrize("length", range(1, 9))
def test_case_is_a_code(length: int) -> None:
    # All of one case costs nothing, because the alphabet is counted as one case then.
    mixed = [v for v in map("".join, product("aB", repeat=length)) if not v.islower() and not v.isupper()]
    assert sum(2 ** (-human_code.case_cost(value) / human_code.STEP) for value in mixed) <= 1


@pytest.mark.parametrize("table", [human_code.trigrams, human_code.skeletons])
def test_every_context_of_a_table_is_a_code(table: Callable[[], list[int]]) -> None:
    costs = table()
    assert len(costs) == 27 * 27 * 26
    for start in range(0, len(costs), 26):
        assert 0.5 < sum(2 ** (-cost / human_code.STEP) for cost in costs[start : start + 26]) <= 1


def test_keys_are_a_code() -> None:
    assert 0.5 < _share(key_codes.mash_cost, _FOLDED, 1) <= 1
    assert _share(key_codes.mash_cost, _FOLDED, 2) <= 1
    assert 0.5 < _share(key_codes.walk_cost, _FOLDED, 2) <= 1

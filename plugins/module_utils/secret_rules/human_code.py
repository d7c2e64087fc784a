# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to say a value in the code of a person who types words and numbers.

A code that is proper (its words are no prefixes of each other) is shorter than that of chance by c bits for no more than
one in 2^c random values, so that a genuine secret is safe by arithmetic. Hence all costs are rounded up.
"""

from __future__ import annotations

import functools
import math
import re
from typing import NamedTuple

# Costs are whole twentieths of a bit; those in the table of trigrams are fifths.
STEP = 20
_TABLE_STEP = 5
_TABLE_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LEET = {"0": "o", "1": "i", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "7": "t", "8": "b", "9": "g"}
_LEET.update({"@": "a", "$": "s", "!": "i", "|": "l", "+": "t", "(": "c"})
# By which the other code must be shorter: measured, it is for less than one genuine value in 10^7.
MARGIN = 16 * STEP
MANY = 1 << 30


def cost(probability: float) -> int:
    return math.ceil(-math.log2(probability) * STEP)


class Case(NamedTuple):
    """What the case of a letter costs inside a word and at its start."""

    lower: int
    upper: int
    first_lower: int
    first_upper: int


# What case_cost says is added to NO_CASE; the other two say it all.
NO_CASE = Case(0, 0, 0, 0)
CAPITALISED = Case(cost(0.97), cost(0.03), cost(0.3), cost(0.7))
ANY_CASE = Case(STEP, STEP, STEP, STEP)
# Of a letter that has a form in leet: how often that is used.
SELDOM, SOMETIMES, OFTEN = 0.03, 0.3, 0.7
# Inside a word, after it, and between words.
_ON, _NEXT, _LEAVE = cost(0.78), cost(0.10), cost(0.12)
_ENTER, _STAY = cost(0.38), cost(0.62)
_DIGIT, _SYMBOL, _USUAL_SYMBOL = cost(0.72 / 10), cost(0.08 / 32), cost(0.2 / 8)
_USUAL = "-_.!@#$:"
# Of a letter after another: the case stays, or changes; and at the start, or after something else.
_SAME_LOWER, _TO_UPPER, _SAME_UPPER, _TO_LOWER, _FIRST = map(cost, (0.9, 0.1, 0.55, 0.45, 0.5))
_LETTER = re.compile("[a-z]+", re.IGNORECASE)


class Character(NamedTuple):
    """The letter that it may be (1 to 26, or 0), what it adds to the letter's cost, and its cost outside words."""

    letter: int
    on: int
    first: int
    outside: int


UNKNOWN = Character(0, 0, 0, MANY)


@functools.cache
def trigrams() -> list[int]:
    # Only who needs it pays for it.
    from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import trigrams

    return _costs(trigrams.DATA)


@functools.cache
def skeletons() -> list[int]:
    """The same for words without vowels."""
    from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import skeletons

    # There the letter before the last does not matter.
    return _costs(skeletons.DATA) * 27


def _costs(data: str) -> list[int]:
    value_of = {char: number * STEP // _TABLE_STEP for number, char in enumerate(_TABLE_DIGITS)}
    return [value_of[char] for char in data if char != "\n"]


@functools.cache
def characters(leet: float, case: Case) -> dict[str, Character]:
    return {chr(code): _character(chr(code), leet, case) for code in range(32, 127)}


def _character(char: str, leet: float, case: Case) -> Character:
    outside = _DIGIT if char.isdigit() else _USUAL_SYMBOL if char in _USUAL else _SYMBOL
    letter = _LEET.get(char, char.lower())
    number = _LETTERS.find(letter) + 1
    forms = list(_LEET.values()).count(letter)
    if char in _LEET:
        return Character(number, cost(leet / forms), cost(leet / forms), outside)
    if not char.isalpha():
        return Character(0, 0, 0, outside)
    plain = cost(1 - leet) if forms else 0
    if char.isupper():
        return Character(number, plain + case.upper, plain + case.first_upper, MANY)
    return Character(number, plain + case.lower, plain + case.first_lower, MANY)


def words_cost(value: str, leet: float, case: Case, without_vowels: bool = False) -> int:
    """Cost of the cheapest way to type it."""
    costs, table = skeletons() if without_vowels else trigrams(), characters(leet, case)
    # Cheapest so far if the last character went on with a word, began one, or was outside of words.
    on, first, outside = MANY, MANY, 0
    before = last = 0
    for char in value:
        letter, more_on, more_first, between = table.get(char, UNKNOWN)
        inside = on if on < first else first
        stay = outside + _STAY
        leave = inside + _LEAVE
        if letter:
            went = on + costs[(before * 27 + last) * 26 + letter - 1]
            began = first + costs[last * 26 + letter - 1]
            on = (went if went < began else began) + _ON + more_on
            enter = outside + _ENTER
            again = inside + _NEXT
            first = (enter if enter < again else again) + costs[letter - 1] + more_first
        else:
            on = first = MANY
        outside = (stay if stay < leave else leave) + between
        before, last = last, letter
    return min(on, first, outside)


@functools.lru_cache(maxsize=4)
def case_cost(value: str) -> int:
    """Cost of the case of the letters alone: as in words, as in words with digits for letters, or by chance."""
    if value.islower() or value.isupper():
        return 0
    pieces = _LETTER.findall(value)
    together = "".join(pieces)
    # Two bits say which of the three it is.
    return min(sum(map(_case, pieces)), _case(together), len(together) * STEP) + 2 * STEP


def _case(letters: str) -> int:
    return sum(map(_case_step, " " + letters, letters))


def _case_step(before: str, letter: str) -> int:
    """Cost of a letter's case after the letter before it, if it was one."""
    if before.islower():
        return _SAME_LOWER if letter.islower() else _TO_UPPER
    if before.isupper():
        return _TO_LOWER if letter.islower() else _SAME_UPPER
    return _FIRST

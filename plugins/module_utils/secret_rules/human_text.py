# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a value, or so much of it that the rest could be guessed, was typed by a person."""

from __future__ import annotations

import math
import re

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import alphabet
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.human_code import (
    ANY_CASE,
    CAPITALISED,
    MANY,
    MARGIN,
    NO_CASE,
    OFTEN,
    SELDOM,
    SOMETIMES,
    STEP,
    UNKNOWN,
    Case,
    case_cost,
    characters,
    cost,
    trigrams,
    words_cost,
)

# As in human_code, and besides between typed text and random text.
_ON, _NEXT, _LEAVE, _TO_CHANCE = map(cost, (0.75, 0.09, 0.11, 0.05))
_STAY, _ENTER, _OUT_TO_CHANCE = map(cost, (0.55, 0.37, 0.08))
_GO_ON, _TO_WORD, _TO_OUTSIDE = map(cost, (0.93, 0.04, 0.03))
# A random value is shortened by that many bits once in 2^16 at most; measured, not once in 2^24.
_EVIDENCE = 16 * STEP
# Bits a character by which the first look may be wrong: it knows neither leet nor capitals well.
_NEAR = 1.2 * STEP
# Three bits say which of the codes it is.
_CHOICE = 3 * STEP
_VOWELS = re.compile("[aeiou]", re.IGNORECASE)
_MIXED = re.compile("[a-z].*[A-Z]|[A-Z].*[a-z]", re.DOTALL)
_LEET = re.compile(r"(?:[0-9@$!|+(].*){3}", re.DOTALL)
_HEX_WORDS = re.compile(
    "dead|beef|cafe|babe|face|feed|fade|code|c0de|d00d|b00b|b00c|ba5e|ba11|1337|ab1e|f00d|decade|facade|b0b0|0ff1ce"
    "|b105|cede|added|beaded|decaf|a55|bad|b0a7|fee1|de1e7e|deaf|deed|dad|f1ea|c001|be11|ca11|d00r|d0d0|e1f|1ce|ace"
)
_Way = tuple[float, int]


def is_human_text(value: str) -> bool:
    if _is_hex_speak(value):
        return True
    bits = math.log2(_size(value))
    limit = len(value) * bits * STEP - MARGIN
    case = case_cost(value)
    excess = words_cost(value, SELDOM, NO_CASE) + case - limit
    if excess <= 0:
        return True
    if len(_VOWELS.findall(value)) <= 0.05 * len(value) and _is_skeleton(value, limit - _CHOICE):
        return True
    if excess > _NEAR * len(value):
        return False
    return _is_unusual_text(value, limit - _CHOICE, case) or any(
        _is_partly_human(value, bits, case) for case in _cases(value)
    )


def _size(value: str) -> int:
    # What mixes capitals and small letters without a digit comes from a generator that knows digits, if from any.
    return max(alphabet.size(value), 62) if _MIXED.search(value) else alphabet.size(value)


def _cases(value: str) -> tuple[Case, ...]:
    return (NO_CASE,) if value.islower() or value.isupper() else (CAPITALISED, ANY_CASE)


def _is_unusual_text(value: str, limit: float, case: int) -> bool:
    """In capitalised words or random case, in leet, or backwards."""
    leets = (SELDOM, SOMETIMES, OFTEN) if _LEET.search(value) else (SELDOM,)
    backwards = value[::-1]
    return any(words_cost(value, leet, style) <= limit for leet in leets for style in _cases(value)) or any(
        words_cost(backwards, leet, NO_CASE) + case <= limit for leet in leets
    )


def _is_skeleton(value: str, limit: float) -> bool:
    """Words without their vowels."""
    return any(words_cost(value, SELDOM, style, without_vowels=True) <= limit for style in _cases(value))


def _is_hex_speak(value: str) -> bool:
    return alphabet.size(value) == 16 and len(_HEX_WORDS.sub("", value.lower())) < 0.3 * len(value)


def _is_partly_human(value: str, bits: float, case: Case) -> bool:
    total, random = _cheapest(value, bits * STEP, case)
    return total <= len(value) * bits * STEP - _EVIDENCE and random * bits < alphabet.BITS


def _cheapest(value: str, chance: float, case: Case) -> _Way:
    """Cost of the cheapest way to make the value, and how many characters are random in it."""
    costs, table = trigrams(), characters(SELDOM, case)
    on: _Way = (MANY, 0)
    first: _Way = (MANY, 0)
    outside: _Way = (0, 0)
    random: _Way = (0, 0)
    before = last = 0
    for char in value:
        letter, more_on, more_first, between = table.get(char, UNKNOWN)
        inside = min(on, first)
        if letter:
            went = _plus(on, costs[(before * 27 + last) * 26 + letter - 1])
            began = _plus(first, costs[last * 26 + letter - 1])
            start = min(_plus(outside, _ENTER), _plus(inside, _NEXT), _plus(random, _TO_WORD))
            new_on = _plus(min(went, began), _ON + more_on)
            new_first = _plus(start, costs[letter - 1] + more_first)
        else:
            new_on = new_first = (MANY, 0)
        new_outside = min(_plus(outside, _STAY), _plus(inside, _LEAVE), _plus(random, _TO_OUTSIDE))
        new_random = min(_plus(random, _GO_ON), _plus(inside, _TO_CHANCE), _plus(outside, _OUT_TO_CHANCE))
        on, first, outside = new_on, new_first, _plus(new_outside, between)
        random = (new_random[0] + chance, new_random[1] + 1)
        before, last = last, letter
    return min(on, first, outside, random)


def _plus(way: _Way, more: float) -> _Way:
    return way[0] + more, way[1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A word in a genuine secret is an accident, and has to be a rare one: computed, since no sample is large enough to show it."""

from __future__ import annotations

import string
from math import prod

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import markers

LETTERS = string.ascii_letters + string.digits


def chance(word: str, alphabet: str, fold: bool) -> float:
    """That the word begins at a given place of a random value, its letters written in any way."""
    ways = [letter.lower().translate(markers._LEET) if fold else letter.lower() for letter in alphabet]
    return prod(
        ways.count(letter) / len(ways) for letter in (word.translate(markers._LEET) if fold else word)
    )


@pytest.mark.parametrize(
    ("alphabet", "length"),
    [
        ("0123456789abcdef", 64),
        ("0123456789abcdef", 96),
        (LETTERS + "+/", 64),
        (LETTERS, 64),
        (string.ascii_uppercase + "234567", 56),
    ],
    ids=["hex-32", "hex-48", "base64-48", "alphanumeric", "base32"],
)
def test_genuine_secrets_have_no_marker(alphabet: str, length: int) -> None:
    found = [
        chance(word, alphabet, fold) * (length - len(word) + 1)
        for fold, pattern in ((False, markers._PLAIN), (True, markers._FOLDED))
        for word in pattern.pattern.split("|")
    ]
    assert sum(found) < 1e-7

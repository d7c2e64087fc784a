# SPDX-License-Identifier: GPL-3.0-or-later
"""Which characters a secret is made of, and whether a generator would have made it of these."""

from __future__ import annotations

import functools
import math
import re
import string

BITS = 128
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE32 = re.compile(r"[A-Z2-7]{32,}=*")
# Numbers or pairs of hexadecimal digits with signs between: addresses, dates, versions.
_DOTTED = re.compile(r"(?:[0-9A-Fa-f]{1,4}[^0-9A-Za-z]+){5,}[0-9A-Fa-f]{1,4}")
_UPPER, _LOWER, _DIGIT = re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]")
_NOT_SYMBOLS = str.maketrans("", "", string.ascii_letters + string.digits)


@functools.lru_cache(maxsize=4)
def size(value: str) -> int:
    """Size of the alphabet that the value was drawn from, at most."""
    body = value.rstrip("=")
    if body.isdigit():
        return 10
    if _HEX.fullmatch(body):
        return 16
    if _BASE32.fullmatch(value) and _DIGIT.search(body):
        return 32
    found = 26 * bool(_LOWER.search(body)) + 26 * bool(_UPPER.search(body)) + 10 * bool(_DIGIT.search(body))
    symbols = set(body.translate(_NOT_SYMBOLS))
    if symbols:
        found += (
            2
            if symbols <= set("+/") or symbols <= set("-_")
            else 14
            if symbols <= set("!@#$%^&*()-_=+")
            else 32
        )
    return max(found, 2)


def small_capacity(value: str) -> bool:
    return len(value.rstrip("=")) * math.log2(size(value)) < BITS


def unlike_generators(value: str) -> bool:
    body = value.rstrip("=")
    if _HEX.fullmatch(body):
        # Only digits, or only letters: no generator of hexadecimal does that for 32 characters.
        return body.isdigit() or body.isalpha()
    if _DOTTED.fullmatch(value):
        return True
    if _BASE32.fullmatch(value):
        return False
    kinds = (bool(_UPPER.search(body)), bool(_LOWER.search(body)), bool(_DIGIT.search(body)))
    symbols = set(body.translate(_NOT_SYMBOLS))
    mixed = (kinds[0] and kinds[1]) or (kinds[2] and len(symbols) >= 2)
    return not mixed or sum(kinds) < 2


def few_characters(value: str) -> bool:
    length = len(value)
    entropy = -sum(n / length * math.log2(n / length) for n in map(value.count, set(value)))
    return entropy < 0.66 * math.log2(min(length, size(value)))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two versions of a Debian package is the newer one, by the rules of Debian's policy (5.6.12)."""

from __future__ import annotations

import re
from functools import cmp_to_key
from itertools import zip_longest

_NUMBER = re.compile(r"(\d+)")


def compare(first: str, second: str) -> int:
    """Below 0 where the first is older, above where it is newer, 0 where they are the same."""
    left, right = _split(first), _split(second)
    if left[0] != right[0]:
        return left[0] - right[0]
    return _compare(left[1], right[1]) or _compare(left[2], right[2])


key = cmp_to_key(compare)


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, _dash, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return int(epoch), upstream, revision


def _compare(first: str, second: str) -> int:
    """Words and numbers by turns, beginning with a word, which may be empty."""
    for left, right in zip_longest(_NUMBER.split(first), _NUMBER.split(second), fillvalue=""):
        if left.isdigit() or right.isdigit():
            found = int(left or 0) - int(right or 0)
        else:
            words = [[*map(_order, part), 0] for part in (left, right)]
            found = (words[0] > words[1]) - (words[0] < words[1])
        if found:
            return found
    return 0


def _order(sign: str) -> int:
    """A tilde before the end of the part, the end before letters, letters before all else."""
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256

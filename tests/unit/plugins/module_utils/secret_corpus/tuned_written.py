# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak classes that the rule was made for: what people make up from words, names, dates, and keys."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from random import Random

from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.words import (
    ENGLISH,
    LANGUAGES,
    MARKERS,
    NAMES,
    RARE,
)

_LENGTH = 32
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LEET = str.maketrans("aeiostb", "4310578")
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_COLUMNS = "1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm".split()
_SHIFT = str.maketrans("1234567890", "!@#$%^&*()")
_HEX_WORDS = (
    "dead beef cafe babe face feed fade c0de d00d b00c ba5e ba11 1337 ab1e a11 f00d decade facade".split()
)
Make = Callable[[Random], str]


def grow(rng: Random, part: Make, joint: str = "") -> str:
    """Parts until the value is long enough."""
    value = part(rng)
    while len(value) < _LENGTH:
        value += joint + part(rng)
    return value


def random_text(rng: Random, length: int) -> str:
    return "".join(rng.choice(_ALPHABET) for _place in range(length))


def _joined(words: Sequence[str], joint: str = "", change: Callable[[str], str] = str, tail: int = 0) -> Make:
    def make(rng: Random) -> str:
        text = grow(rng, lambda r: change(r.choice(words)), joint)
        return text + (str(rng.randint(1, 10**tail)) if tail else "")

    return make


def _leet(word: str) -> str:
    return word.translate(_LEET)


def _leet_some(rng: Random) -> str:
    def part(r: Random) -> str:
        return "".join(c.translate(_LEET) if r.random() < 0.5 else c for c in r.choice(ENGLISH)).capitalize()

    return grow(rng, part)


def _symbols_between(rng: Random) -> str:
    return grow(
        rng, lambda r: r.choice(ENGLISH).capitalize() + r.choice("!@#$%&*-_.+?") + str(r.randint(0, 99))
    )


def _rare_leet_digits(rng: Random) -> str:
    return grow(rng, lambda r: _leet(r.choice(RARE)).capitalize() + str(r.randint(10, 99)))


def _name_and_birthday(rng: Random) -> str:
    def part(r: Random) -> str:
        return (
            f"{r.choice(NAMES).capitalize()}{r.randint(1, 28):02}{r.randint(1, 12):02}{r.randint(1950, 2015)}"
        )

    return grow(rng, part)


def _words_then_random(rng: Random) -> str:
    return "".join(rng.choice(ENGLISH).capitalize() for _place in range(4)) + random_text(rng, 10)


def _marker_then_random(rng: Random) -> str:
    return rng.choice(MARKERS) + rng.choice(["-", "_", ""]) + random_text(rng, 24)


def _marker_in_sentence(rng: Random) -> str:
    joint = rng.choice("-_. ").strip()
    return joint.join(
        [rng.choice(MARKERS), rng.choice(ENGLISH), "for", rng.choice(ENGLISH), rng.choice(MARKERS)]
    )


def _rows(rng: Random) -> str:
    rows = rng.sample(_ROWS, 4)
    return "".join(row if rng.random() < 0.5 else row.upper() for row in rows)


def _columns(rng: Random) -> str:
    columns = rng.sample(_COLUMNS, 7) + [rng.choice(_COLUMNS)]
    return "".join(c.upper().translate(_SHIFT) if rng.random() < 0.5 else c for c in columns)


def _mash(keys: str, cased: bool) -> Make:
    def make(rng: Random) -> str:
        text = "".join(rng.choice(keys) for _place in range(rng.randint(32, 48)))
        return "".join(c.upper() if cased and rng.random() < 0.5 else c for c in text)

    return make


def _walk(rng: Random) -> str:
    row, column, text = rng.randint(0, 3), rng.randint(0, 6), ""
    while len(text) < _LENGTH:
        text += _ROWS[row][column]
        row = min(3, max(0, row + rng.choice([-1, 0, 1])))
        column = min(6, max(0, column + rng.choice([-1, 0, 1])))
    return text.capitalize() + "1"


def _address(rng: Random) -> str:
    def mac(r: Random) -> str:
        return ":".join(f"{r.randint(0, 255):02x}" for _place in range(6))

    def ip(r: Random) -> str:
        return ".".join(str(r.randint(1, 254)) for _place in range(4))

    return grow(rng, rng.choice([mac, ip]), rng.choice("-_,"))


def _times(rng: Random) -> str:
    return grow(rng, lambda r: str(r.randint(1_400_000_000, 1_900_000_000)), rng.choice(["", "-", "_"]))


def _dates(rng: Random) -> str:
    return grow(rng, lambda r: f"{r.randint(1950, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}", "_")


def _mail(rng: Random) -> str:
    part: Make = lambda r: f"{r.choice(NAMES)}.{r.choice(ENGLISH)}{r.randint(1, 99)}@{r.choice(ENGLISH)}.com"  # noqa: E731
    return grow(rng, part, ";")


def _host(rng: Random) -> str:
    words = [rng.choice(ENGLISH) for _place in range(3)]
    return (
        f"{words[0]}-{rng.randint(1, 99):02}.{words[1]}.eu-central-{rng.randint(1, 3)}.{words[2]}.example.net"
    )


def _versions(rng: Random) -> str:
    def part(r: Random) -> str:
        return f"{r.choice(ENGLISH).capitalize()}-v{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 30)}"

    return grow(rng, part, "+")


def _setting(rng: Random) -> str:
    name = f"{rng.choice(ENGLISH)}_{rng.choice(ENGLISH)}_{rng.choice(['KEY', 'TOKEN', 'PASSWORD'])}".upper()
    return f"{name}={rng.choice(ENGLISH)}{rng.choice(ENGLISH)}{rng.randint(1, 9999)}"


def _phones(rng: Random) -> str:
    return grow(rng, lambda r: f"+{r.randint(1, 99)}-{r.randint(100, 999)}-{r.randint(10**6, 10**7)}", "/")


WRITTEN: dict[str, Make] = {
    "words": _joined(ENGLISH),
    "capitalised words": _joined(ENGLISH, change=str.capitalize),
    "capitalised words and number": _joined(ENGLISH, change=str.capitalize, tail=4),
    "words with hyphens": _joined(ENGLISH, "-", tail=3),
    "words with dots": _joined(ENGLISH, ".", str.capitalize),
    "upper-case words": _joined(ENGLISH, "_", str.upper, tail=4),
    "swapped-case words": _joined(ENGLISH, "", lambda w: w[:-1] + w[-1].upper(), tail=2),
    "words, symbols, numbers": _symbols_between,
    "leet": _joined(ENGLISH, "", _leet),
    "capitalised leet": _joined(ENGLISH, "", lambda w: _leet(w).capitalize(), tail=4),
    "some leet": _leet_some,
    "leet with separators": _joined(ENGLISH, "_", lambda w: _leet(w).capitalize()),
    **{f"{name} words": _joined(words, change=str.capitalize, tail=3) for name, words in LANGUAGES.items()},
    "rare words": _joined(RARE, "", str.capitalize),
    "rare words, leet, numbers": _rare_leet_digits,
    "names and birthdays": _name_and_birthday,
    "words and 10 random characters": _words_then_random,
    "marker and random text": _marker_then_random,
    "markers in a sentence": _marker_in_sentence,
    "keyboard rows": _rows,
    "keyboard columns": _columns,
    "keyboard walk": _walk,
    "mashed home row": _mash("asdfghjkl", False),
    "mashed home row in random case": _mash("asdfghjkl", True),
    "mashed keys": _mash("asdfghjklasdfghjklqweruiop", False),
    "mashed keys in random case": _mash("asdfghjklasdfghjklqweruiop", True),
    "addresses": _address,
    "times": _times,
    "dates": _dates,
    "mail addresses": _mail,
    "host names": _host,
    "versions": _versions,
    "settings": _setting,
    "telephone numbers": _phones,
    "hexadecimal words": _joined(_HEX_WORDS),
    "UUID": lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
}

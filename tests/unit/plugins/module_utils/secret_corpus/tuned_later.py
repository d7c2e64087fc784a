# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak classes that were held out at first: 86 % were caught when they were looked at, and then the rule was tuned on them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from random import Random

from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.words import (
    HELD_ENGLISH,
    HELD_MIXED,
    NAMES,
)

_LENGTH = 32
_COMMON = "baseball superman michelle jordan23 starwars whatever1 ashley corvette mustang1 chelsea liverpool".split()
_READABLE = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"  # pragma: allowlist secret
_MONTHS = "January February March April May June July August September October November December".split()
_NUMBERS = "One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen".split()


def _grow(rng: Random, part: Callable[[Random], str], joint: str = "") -> str:
    value = part(rng)
    while len(value) < _LENGTH:
        value += joint + part(rng)
    return value


def _words(rng: Random, count: int) -> list[str]:
    return [rng.choice(HELD_ENGLISH) for _place in range(count)]


def _sentence_with_year(rng: Random) -> str:
    return _grow(rng, lambda r: "".join(w.capitalize() for w in _words(r, 3)) + str(r.randint(1950, 2029)))


def _connection_string(rng: Random) -> str:
    a, b, c = _words(rng, 3)
    return f"Server={a}-db{rng.randint(1, 9)};Database={b};User={c};Pass={rng.choice(NAMES)}{rng.randint(1, 999)}"


def _file_name(rng: Random) -> str:
    day = f"20{rng.randint(10, 29)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    a, b = _words(rng, 2)
    return f"{a}_{b}_{day}_Final_v{rng.randint(2, 9)}_NEW.tar.gz"


def _class_name(rng: Random) -> str:
    a, b, c, d = _words(rng, 4)
    return f"com.{a}.{b}.{c.capitalize()}{d.capitalize()}FactoryBean{rng.randint(2, 99)}"


def _json_in_base64(rng: Random) -> str:
    user = {"user": rng.choice(NAMES), "role": rng.choice(HELD_ENGLISH), "id": rng.randint(1, 99999)}
    return base64.b64encode(json.dumps(user).encode()).decode()


def _service_and_date_in_hex(rng: Random) -> str:
    return f"{'-'.join(_words(rng, 2))}:{rng.randint(2015, 2029)}-{rng.randint(1, 12):02}".encode().hex()


def _phrase_in_base32(rng: Random) -> str:
    return base64.b32encode(" ".join(_words(rng, 4)).encode()).decode()


def _digest_of_common_password(rng: Random) -> str:
    digest = hashlib.new(rng.choice(["md5", "sha1", "sha256", "sha512"]), rng.choice(_COMMON).encode())
    return rng.choice(
        [digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode()]
    )


def _random_case(rng: Random) -> str:
    text = _grow(rng, lambda r: r.choice(HELD_ENGLISH))
    return "".join(rng.choice([char, char.upper()]) for char in text)


def _without_vowels(rng: Random) -> str:
    def part(r: Random) -> str:
        word = r.choice(HELD_ENGLISH)
        return (word[0].upper() + "".join(c for c in word[1:] if c not in "aeiou")) + r.choice(
            ["_", "-", "", "1"]
        )

    return _grow(rng, part)


def _months(rng: Random) -> str:
    start = rng.randint(0, 11)
    year = rng.randint(2000, 2029)
    return "".join(f"{_MONTHS[(start + n) % 12]}{year + n}" for n in range(rng.randint(4, 5)))


def _time_and_host(rng: Random) -> str:
    day = f"20{rng.randint(15, 29)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    clock = f"{rng.randint(0, 23):02}{rng.randint(0, 59):02}{rng.randint(0, 59):02}"
    return (
        f"{day}T{clock}Z-{rng.choice(HELD_ENGLISH)}{rng.randint(1, 20):02}-Prod-eu-west-{rng.randint(1, 3)}"
    )


def _published_test_key(rng: Random) -> str:
    start, step = rng.randint(0, 255), rng.choice([1, 2, 17, 255])
    raw = bytes((start + step * n) % 256 for n in range(rng.choice([16, 32])))
    return rng.choice([raw.hex(), raw.hex().upper(), base64.b64encode(raw * 2).decode()])


def _percent_encoded(rng: Random) -> str:
    return "%20".join(word.capitalize() for word in _words(rng, 6)) + "%21"


def _number_words(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(_NUMBERS) + r.choice(["", "", "_", str(r.randint(0, 9))]))


def _other_languages(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(HELD_MIXED).capitalize() + r.choice(["!", "#", "7", "_2"]))


def _people(rng: Random) -> str:
    def part(r: Random) -> str:
        return f"{r.choice(NAMES).capitalize()}&{r.choice(NAMES).capitalize()}{r.randint(1, 31):02}{r.randint(1, 12):02}"

    return _grow(rng, part)


def _backwards(rng: Random) -> str:
    return _grow(rng, lambda r: r.choice(HELD_ENGLISH)[::-1].capitalize() + r.choice(["", "9", "!"]))


def _two_hands(rng: Random) -> str:
    # Both hands walk towards each other, row by row: qpwoeiru...
    rows = ["1234567890", "qwertyuiop", "asdfghjkl;", "zxcvbnm,./"]
    rng.shuffle(rows)
    text = "".join(row[n] + row[-1 - n] for row in rows for n in range(5))
    return text[:36].title() if rng.random() < 0.5 else text


def _word_then_random(rng: Random) -> str:
    tail = "".join(rng.choice(_READABLE) for _place in range(8))
    return _grow(rng, lambda r: r.choice(HELD_ENGLISH) + "-") + tail


LATER: dict[str, Callable[[Random], str]] = {
    "sentence with a year": _sentence_with_year,
    "connection string": _connection_string,
    "file name": _file_name,
    "class name": _class_name,
    "JSON in base64": _json_in_base64,
    "service and date in hex": _service_and_date_in_hex,
    "phrase in base32": _phrase_in_base32,
    "digest of a common password": _digest_of_common_password,
    "words in random case": _random_case,
    "words without vowels": _without_vowels,
    "months": _months,
    "time and host": _time_and_host,
    "published test key": _published_test_key,
    "percent-encoded sentence": _percent_encoded,
    "number words": _number_words,
    "other languages": _other_languages,
    "people and days": _people,
    "words backwards": _backwards,
    "keyboard with two hands": _two_hands,
    "words and a short random tail": _word_then_random,
}

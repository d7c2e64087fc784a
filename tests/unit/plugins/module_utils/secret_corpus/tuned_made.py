# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak classes that the rule was made for: patterns, pointers, and weak things in an encoding."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from random import Random

from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.tuned_later import (
    LATER,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.tuned_written import (
    WRITTEN,
    Make,
    grow,
    random_text,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.words import (
    ENGLISH,
    LANGUAGES,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PI = "31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679"
_COMMON = (
    "123456 password qwerty dragon letmein monkey abc123 iloveyou admin welcome changeme secret test".split()
)


def _phrase(rng: Random) -> str:
    return " ".join(rng.choice(ENGLISH) for _place in range(6))


def _encoded(encode: Callable[[bytes], bytes], make: Make = _phrase) -> Make:
    return lambda rng: encode(make(rng).encode()).decode().rstrip("\n")


def _hex(raw: bytes) -> bytes:
    return raw.hex().encode()


def _upper_hex(raw: bytes) -> bytes:
    return raw.hex().upper().encode()


def _twice(raw: bytes) -> bytes:
    return base64.b64encode(base64.b64encode(raw))


def _foreign(rng: Random) -> str:
    words = rng.choice(list(LANGUAGES.values()))
    return " ".join(rng.choice(words).capitalize() for _place in range(5))


def _pattern_bytes(rng: Random) -> bytes:
    kind, size = rng.randint(0, 4), rng.choice([24, 32, 48])
    first = rng.randint(0, 255)
    if kind == 0:
        return bytes([first]) * size
    if kind == 1:
        return bytes((first + n) % 256 for n in range(size))
    if kind == 2:
        return (bytes(rng.randint(0, 255) for _place in range(8)) * 6)[:size]
    if kind == 3:
        return bytes(rng.choice([first, 0, 255]) for _place in range(size))
    return bytes(size - 4) + bytes(rng.randint(0, 255) for _place in range(4))


def _digest(encode: Callable[[bytes], str]) -> Make:
    def make(rng: Random) -> str:
        return encode(
            hashlib.new(
                rng.choice(["md5", "sha1", "sha256", "sha512"]), rng.choice(_COMMON).encode()
            ).digest()
        )

    return make


def _alphabet(rng: Random) -> str:
    start = rng.randint(0, 25)
    run = (_LETTERS * 2)[start : start + 22]
    text = run if rng.random() < 0.5 else run[::-1]
    return rng.choice([text, text.upper(), text.title()]) + "1234567890"


def _stepped(rng: Random) -> str:
    letters = _LETTERS[rng.randint(0, 1) :: 2] + _LETTERS[rng.randint(0, 2) :: 3].upper() + "02468" + "13579"
    return letters


def _digits(rng: Random) -> str:
    return "".join(rng.choice("0123456789") for _place in range(rng.randint(32, 37)))


def _pi(rng: Random) -> str:
    start = rng.randint(0, 40)
    return rng.choice(["pi", "Pi=", ""]) + _PI[start : start + 36]


def _block(size: int) -> Make:
    def make(rng: Random) -> str:
        block = random_text(rng, size)
        return (block * 12)[: rng.randint(32, 48)]

    return make


def _mirror(rng: Random) -> str:
    half = random_text(rng, 18)
    return half + half[::-1]


def _word_again(rng: Random) -> str:
    word = rng.choice(ENGLISH).capitalize()
    return grow(rng, lambda r: word + str(r.randint(0, 9)))


def _few(count: int) -> Make:
    def make(rng: Random) -> str:
        chars = random_text(rng, count)
        return "".join(rng.choice(chars) for _place in range(40))

    return make


def _long_runs(rng: Random) -> str:
    return "".join(rng.choice("aZ09xB7q") * rng.randint(4, 9) for _place in range(7)) + "aB3"


def _padded(rng: Random) -> str:
    return random_text(rng, 10) + rng.choice("0x.-A1") * 26


def _pointer(rng: Random) -> str:
    name = f"{rng.choice(ENGLISH)}_{rng.choice(ENGLISH)}"
    form = rng.choice(
        [
            "{{{{ vault_{0}_secret_key }}}}",
            "${{{0}_SECRET_FROM_ENVIRONMENT}}",
            "$(cat /run/secrets/{0}_key_file)",
            "<your-{0}-secret-goes-here-please>",
            "/run/secrets/{0}/application_secret",
            "https://vault.{0}.internal/v1/secret/data",
            "op://Production/{0}/credentials/token",
            "arn:aws:secretsmanager:eu-west-1:1234:{0}",
            "vault:secret/data/{0}/production#value",
            "ENC[AES256_GCM,data:{0}cGFzc3dvcmQ=,type:str]",
            "{{{{ lookup('env', '{0}_SECRET_KEY') }}}}",
            "$ANSIBLE_VAULT;1.1;AES256;{0}36623033",
            "%({0}_secret_key_from_config)s",
        ]
    )
    return form.format(name)


def _uuid_one(rng: Random) -> str:
    return f"{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}-11ef-{rng.getrandbits(16):04x}-0242ac120002"


MADE: dict[str, Make] = {
    "sentence in base64": _encoded(base64.b64encode),
    "sentence in base64url": _encoded(base64.urlsafe_b64encode),
    "sentence in base64 without padding": lambda rng: _encoded(base64.b64encode)(rng).rstrip("="),
    "sentence in hex": _encoded(_hex),
    "sentence in upper-case hex": _encoded(_upper_hex),
    "sentence in base32": _encoded(base64.b32encode),
    "sentence in base64 twice": _encoded(_twice),
    "foreign sentence in base64": _encoded(base64.b64encode, _foreign),
    "leet in base64": _encoded(base64.b64encode, WRITTEN["capitalised leet"]),
    "password in base64": _encoded(base64.b64encode, WRITTEN["words, symbols, numbers"]),
    "pattern in base64": lambda rng: base64.b64encode(_pattern_bytes(rng)).decode(),
    "pattern in hex": lambda rng: _pattern_bytes(rng).hex(),
    "pattern in base32": lambda rng: base64.b32encode(_pattern_bytes(rng)).decode(),
    "digest of a common password in hex": _digest(bytes.hex),
    "digest of a common password in base64": _digest(lambda raw: base64.b64encode(raw + b"").decode()),
    "alphabet": _alphabet,
    "alphabet in steps": _stepped,
    "random digits": _digits,
    "digits of pi": _pi,
    "repeated block of 4": _block(4),
    "repeated block of 11": _block(11),
    "repeated block of 16": _block(16),
    "mirrored": _mirror,
    "one word again and again": _word_again,
    "3 different characters": _few(3),
    "5 different characters": _few(5),
    "long runs": _long_runs,
    "short secret, padded": _padded,
    "pointer": _pointer,
    "UUID of version 1": _uuid_one,
}
CLASSES: dict[str, Make] = {**WRITTEN, **MADE, **LATER}

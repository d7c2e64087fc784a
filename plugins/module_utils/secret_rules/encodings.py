# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are something weaker in hexadecimal, base32, or base64."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import math
import re
import string
import zlib
from typing import Callable

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.markers import MARKERS

_HEX = re.compile(r"(?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+")
_BASE32 = re.compile(r"[A-Z2-7]+={0,6}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}|[A-Za-z0-9_-]+={0,2}")
_URL_ALPHABET = str.maketrans("-_", "+/")
_EQUAL_STEPS = re.compile(rb"(.)\1{4}", re.DOTALL)
_TEXT = bytes(range(32, 127)) + b"\t\n\r"
_WORDS = string.ascii_letters.encode() + string.digits.encode() + b" ._-"
_LEAST = 16
_DIGESTS = {16: "md5", 20: "sha1", 32: "sha256", 64: "sha512"}


@functools.lru_cache(maxsize=8)
def _decoded(value: str) -> tuple[bytes, ...]:
    """What the value may stand for. Hexadecimal is never taken for base64: what came out would mean nothing."""
    if _HEX.fullmatch(value):
        return (bytes.fromhex(value),)
    body = value.rstrip("=")
    found = []
    # Base64 of anything has more kinds of characters than base32, which taken for base64 is text too often.
    if _BASE32.fullmatch(value):
        found.append(_decode(base64.b32decode, body, 8))
    elif _BASE64.fullmatch(value):
        found.append(_decode(base64.b64decode, body.translate(_URL_ALPHABET), 4))
    return tuple(raw for raw in found if len(raw) >= _LEAST)


def _decode(decode: Callable[[str], bytes], body: str, block: int) -> bytes:
    try:
        return decode(body + "=" * (-len(body) % block))
    except (binascii.Error, ValueError):
        return b""


def encoded_text(value: str) -> bool:
    return any(len(raw) >= _LEAST and _is_text(raw) for raw in _decoded(value))


def _is_text(raw: bytes) -> bool:
    # By chance, one genuine value of 24 bytes in 14 million has two bytes that are none. Of 16 bytes, one in five million is text, and
    # one in 70 million is text of mostly letters.
    if len(raw) >= 24:
        return len(raw.translate(None, _TEXT)) <= min(0.1 * len(raw), (len(raw) - 20) // 4)
    return not raw.translate(None, _TEXT) and len(raw.translate(None, _WORDS)) <= 0.15 * len(raw)


def encoded_pattern(value: str) -> bool:
    return any(len(raw) >= _LEAST and _is_pattern(raw) for raw in _decoded(value))


def _is_pattern(raw: bytes) -> bool:
    expected = 256 * (1 - math.exp(-len(raw) / 256))
    if len(set(raw)) < 0.55 * expected:
        return True
    if len({raw[n : n + 5] for n in range(len(raw) - 4)}) < len(raw) - 4:
        return True
    steps = bytes((b - a) % 256 for a, b in zip(raw, raw[1:]))
    # Five equal bytes, or six in equal steps.
    return bytes(4) in steps or _EQUAL_STEPS.search(steps) is not None


def known_digest(value: str) -> bool:
    return any(len(raw) in _DIGESTS and raw in _digests(len(raw)) for raw in _decoded(value))


@functools.cache
def _digests(size: int) -> frozenset[bytes]:
    """Digests of everybody's passwords, also capitalised, with a usual ending, or with the line break that echo adds."""
    # Only who needs it pays for it.
    from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import common_passwords

    words = zlib.decompress(base64.b64decode(common_passwords.DATA)).split() + [m.encode() for m in MARKERS]
    new = getattr(hashlib, _DIGESTS[size])
    forms = {form for word in words for form in (word, word.capitalize())}
    return frozenset(new(form + ending).digest() for form in forms for ending in (b"", b"1", b"123", b"\n"))

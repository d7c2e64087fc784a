# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that were never seen before, and every form in which one could turn up."""

from __future__ import annotations

import base64
import json
import secrets
import string
from dataclasses import dataclass
from urllib.parse import quote

PLAIN = string.ascii_letters + string.digits
# No braces or angles, which are of templates and placeholders, no dollar, which is of references: all are refused as such.
SYMBOLS = PLAIN + "\"'\\%+/&^~,;:=@!#*-_"
END = 20
MIDDLE = 24


@dataclass(frozen=True)
class Canary:
    """A secret; `name` is the variable that holds it."""

    name: str
    value: str


def canary(name: str) -> Canary:
    """Passes validation. Both ends survive any quoting as they are, the middle tells quotings apart."""
    middle = "".join(secrets.choice(SYMBOLS) for _number in range(MIDDLE - 4)) + "\"\\'/"
    return Canary(name, _plain(END) + middle + _plain(END))


def simple(name: str, length: int = 64) -> Canary:
    """Letters and digits only."""
    return Canary(name, _plain(length))


def _plain(length: int) -> str:
    return "".join(secrets.choice(PLAIN) for _number in range(length))


def forms(value: str) -> dict[str, bytes]:
    """What to look for, by the name of the form; the most telling first."""
    raw = value.encode()
    found = {
        "raw": raw,
        "JSON": json.dumps(value)[1:-1].encode(),
        "JSON, slashes escaped": json.dumps(value)[1:-1].replace("/", "\\/").encode(),
        "URL": quote(value, safe="").encode(),
        "URL, slashes kept": quote(value).encode(),
        "hex": raw.hex().encode(),
        "reversed": raw[:END][::-1],
        "reversed end": raw[-END:][::-1],
        "upper case": raw[:END].upper(),
        "upper case end": raw[-END:].upper(),
        "lower case": raw[:END].lower(),
        "lower case end": raw[-END:].lower(),
        "first 20": raw[:END],
        "last 20": raw[-END:],
    }
    for shift in range(3):
        # Characters at the ends depend on what stands beside the secret.
        encoded = base64.b64encode(b"\0" * shift + raw)[4:-4]
        found[f"base64 at {shift}"] = encoded
        found[f"URL-safe base64 at {shift}"] = encoded.replace(b"+", b"-").replace(b"/", b"_")
    unique: dict[bytes, str] = {}
    for form, needle in found.items():
        unique.setdefault(needle, form)
    return {form: needle for needle, form in unique.items()}

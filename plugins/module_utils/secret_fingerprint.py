# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether two secrets are the same one, for those who hold the key; says nothing to anybody else."""

from __future__ import annotations

import hashlib
import hmac

# Not hexadecimal as a whole, so that scanners do not take a fingerprint for a secret.
PREFIX = "hmac:"
SHORTEST_KEY = 32


def fingerprint(value: str, key: str) -> str:
    """Keyed, because a plain hash of a weak secret is found by trying."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(f"the key must have at least {SHORTEST_KEY} characters")
    return PREFIX + _digest(b"secret", value, key)[:32]


def seal(text: str, key: str) -> str:
    """Shows later whether the text was changed by somebody without the key."""
    return PREFIX + _digest(b"seal", text, key)[:16]


def _digest(purpose: bytes, text: str, key: str) -> str:
    message = purpose + b"\0" + text.encode("utf-8", "surrogateescape")
    return hmac.new(key.encode("utf-8", "surrogateescape"), message, hashlib.sha256).hexdigest()

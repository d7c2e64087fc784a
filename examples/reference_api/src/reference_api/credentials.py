# SPDX-License-Identifier: GPL-3.0-or-later
"""API keys and sessions: making them and checking them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer

SESSION_SECONDS = 3600
_KEY = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{43})")
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).digest()


class IssuedKey(NamedTuple):
    """A new key: the text is shown to its client once and kept nowhere."""

    id: str
    secret_hash: bytes
    text: str


def issue_key() -> IssuedKey:
    """Make a key of the form `<key id>.<secret>`."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return IssuedKey(key_id, _hash(secret), f"{key_id}.{secret}")


def split_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key; None if it does not have a key's form."""
    match = _KEY.fullmatch(text)
    return (match[1], match[2]) if match else None


def secret_matches(secret: str, secret_hash: bytes | None) -> bool:
    """Compare in constant time, and as long for a key that does not exist."""
    return hmac.compare_digest(_hash(secret), secret_hash or _NOBODY)


def same_text(given: str, expected: str) -> bool:
    """Compare in constant time, whatever the lengths."""
    return hmac.compare_digest(_hash(given), _hash(expected))


def _hash(secret: str) -> bytes:
    # Our secrets are 256 random bits: a slow password hash would only add load, not strength.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Sessions:
    """Signed tokens that stand for a key for a while; revoking the key, looked up each time, ends them."""

    def __init__(self, secret_key: str, fallbacks: Sequence[str] = ()) -> None:
        # The last one signs, all verify.
        self._serializer = URLSafeTimedSerializer(
            [*fallbacks, secret_key],
            salt="reference-api session v1",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def issue(self, key_id: str) -> str:
        """A token for a key that has just been proven."""
        return str(self._serializer.dumps(key_id))

    def key_id(self, token: str) -> str | None:
        """The key a token stands for; None if it is forged, broken or too old."""
        try:
            value = self._serializer.loads(token, max_age=SESSION_SECONDS)
        except BadSignature:  # an expired one is a kind of it
            return None
        return value if isinstance(value, str) else None

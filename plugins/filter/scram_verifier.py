# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL stores in place of a password (RFC 5802, RFC 7677)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

SALT_BYTES = 16


def scram_verifier(password: str, salt: str | None = None, iterations: int = 4096) -> str:
    """See scram_verifier.yml."""
    # The messages must not repeat the password.
    if not isinstance(password, str) or not password:
        raise AnsibleFilterError("scram_verifier: the password must be a text that is not empty")
    if not (password.isascii() and password.isprintable()):
        raise AnsibleFilterError("scram_verifier: the password may hold printable ASCII characters only")
    try:
        raw_salt = os.urandom(SALT_BYTES) if salt is None else base64.b64decode(salt, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AnsibleFilterError(f"scram_verifier: the salt is not base64: {error}") from None
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), raw_salt, int(iterations))
    stored_key = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server_key = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${int(iterations)}:{_text(raw_salt)}${_text(stored_key)}:{_text(server_key)}"


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"scram_verifier": scram_verifier}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the usual generators do, without starting a process for each value, and the commands themselves."""

from __future__ import annotations

import base64
import os
import secrets
import string
from collections.abc import Callable

_ALPHABET = string.ascii_letters + string.digits


def _base64(size: int) -> Callable[[], str]:
    return lambda: base64.b64encode(os.urandom(size)).decode()


def _hex(size: int) -> Callable[[], str]:
    return lambda: os.urandom(size).hex()


def _pwgen() -> str:
    # pwgen -s starts again until there is a capital and a digit.
    while True:
        value = _letters_and_digits()
        if any(char.isupper() for char in value) and any(char.isdigit() for char in value):
            return value


def _letters_and_digits() -> str:
    return "".join(secrets.choice(_ALPHABET) for _place in range(32))


GENERATORS: dict[str, Callable[[], str]] = {
    "openssl rand -base64 48": _base64(48),
    "openssl rand -base64 32": _base64(32),
    "openssl rand -base64 24": _base64(24),
    "openssl rand -hex 32": _hex(32),
    "openssl rand -hex 24": _hex(24),
    "openssl rand -hex 16": _hex(16),
    "token_urlsafe(48)": lambda: secrets.token_urlsafe(48),
    "token_urlsafe(32)": lambda: secrets.token_urlsafe(32),
    "[A-Za-z0-9]{32}": _letters_and_digits,
    "pwgen -s 32": _pwgen,
    "base32 of 20 bytes": lambda: base64.b32encode(os.urandom(20)).decode(),
}
COMMANDS = {
    "openssl": ["openssl", "rand", "-base64", "48"],
    "pwgen": ["pwgen", "-s", "-1", "32", "1000"],
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of the lab's vaults: made for this checkout at first use, never committed."""

from __future__ import annotations

import secrets
from pathlib import Path

from . import paths


def password_file() -> Path:
    password = paths.private_directory(paths.STATE) / "vault-password"
    if not password.exists():
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(32) + "\n", encoding="ascii")
    return password


if __name__ == "__main__":
    print(password_file().read_text(encoding="ascii"), end="")

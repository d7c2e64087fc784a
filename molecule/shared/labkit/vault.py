# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of the lab's vaults: made for this checkout at first use, never committed."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from . import paths


def password_file() -> Path:
    password = paths.private_directory(paths.STATE) / "vault-password"
    if not password.exists():
        # Whole, or not there: several runs begin at once, and the first one's holds.
        descriptor, temporary = tempfile.mkstemp(dir=password.parent)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, password)
        os.unlink(temporary)
    return password


if __name__ == "__main__":
    print(password_file().read_text(encoding="ascii"), end="")

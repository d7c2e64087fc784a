# SPDX-License-Identifier: GPL-3.0-or-later
"""A private key on the controller's disk that is encrypted with a passphrase."""

from __future__ import annotations

from typing import Any

try:
    from cryptography.hazmat.primitives import serialization
except ImportError:  # ansible-core needs it, a sanity test does without
    serialization = None  # type: ignore[assignment]

from .secret_backends.base import SecretProblem
from .secret_backends.replace import replace


def change_passphrase(path: str, old: str, new: str) -> bool:
    """Encrypts the key with another passphrase; False if it already is, as after a run that was killed.

    :raises SecretProblem: if neither passphrase opens it, or it cannot be replaced. It is then as it was.
    """
    before = _content(path)
    if _opened(before, new) is not None:
        return False
    key = _opened(before, old)
    if key is None:
        raise SecretProblem(
            "CA_KEY",
            f"{path} is not opened by the passphrase that the backend has for it",
            "restore the key, or the passphrase, from a copy of the same day",
        )
    after = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(new.encode("utf-8")),
    )
    # No copy of before: whoever has the old passphrase would still open it.
    replace(path, before, after, backup=False)
    return True


def _content(path: str) -> bytes:
    reason = ""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        reason = str(error.strerror)
    raise SecretProblem(
        "CA_KEY", f"{path} cannot be read ({reason})", "run provision.yml first, which makes the authority"
    )


def _opened(content: bytes, passphrase: str) -> Any:
    try:
        return serialization.load_pem_private_key(content, passphrase.encode("utf-8"))
    except (ValueError, TypeError):
        return None

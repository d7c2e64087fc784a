# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces a file as a whole or not at all, also across a power cut."""

from __future__ import annotations

import os
import re
import secrets
import stat
import time

from .base import SecretProblem

BACKUP = ".bak"
_STALE_SECONDS = 600.0


def replace(path: str, before: bytes | None, after: bytes, backup: bool = True) -> None:
    """`before` is what the caller has read (None: no file); the old content stays as PATH.bak, as encrypted as it was."""
    directory = os.path.dirname(path)
    temporary = os.path.join(directory, f".{os.path.basename(path)}.{secrets.token_hex(8)}")
    failed: OSError | None = None
    try:
        if before is None:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        _sweep(directory, os.path.basename(path))
        _write(temporary, after, None if before is None else os.stat(path))
        if _content(path) != before:
            raise SecretProblem(
                "CONFLICT",
                f"somebody else changed {path} at the same time",
                "look who it was, and run this again",
            )
        if before is not None and backup:
            os.link(path, f"{temporary}.old")
            os.replace(f"{temporary}.old", path + BACKUP)
        os.replace(temporary, path)
        _sync_directory(directory)
    except OSError as error:
        failed = error
    finally:
        for left in (temporary, f"{temporary}.old"):
            if os.path.lexists(left):
                os.unlink(left)
    if failed:
        raise SecretProblem(
            "WRITE",
            f"{path} cannot be replaced: {os.strerror(failed.errno or 0)}",
            "correct the owner, mode, or space there",
        )


def _write(path: str, content: bytes, like: os.stat_result | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if like is not None:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
        file.flush()
        os.fsync(file.fileno())


def _sweep(directory: str, name: str) -> None:
    """What killed runs have left beside it, as encrypted as the file itself."""
    pattern = re.compile(re.escape(f".{name}.") + r"[0-9a-f]{16}(\.old)?")
    for left in os.listdir(directory):
        file = os.path.join(directory, left)
        if pattern.fullmatch(left) and time.time() - os.lstat(file).st_mtime > _STALE_SECONDS:
            os.unlink(file)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

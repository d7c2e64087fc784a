# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out changes on the file system; used for the live set, its rehearsal and the way back alike.

Everything is written beside its target first, so that the live paths change within a few renames, each of them
atomic. Every step may be repeated: what is already as wanted is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from .model import Change, Observer, ignore_step
from .nodes import ABSENT, Absent, Directory, File, Link, Node, read_node

TEMPORARY = ".config_set-"


def swap(changes: Sequence[Change], token: str, observe: Observer = ignore_step) -> None:
    """Bring every path to its `after`; a failure leaves some paths done and temporaries behind (see sweep)."""
    pending = [change for change in changes if read_node(change.path) != change.after]
    touched: set[str] = set()
    _make_directories(pending, touched, observe)
    staged = _stage(pending, token, observe)
    for temporary, path in staged:
        observe("rename", path)
        os.replace(temporary, path)
        touched.add(os.path.dirname(path))
    _remove(pending, touched, observe)
    _set_attributes(pending, observe)
    for directory in touched:
        sync_directory(directory)


def put_back(changes: Sequence[Change], token: str, observe: Observer = ignore_step) -> None:
    """Undo changes, however many of them were carried out."""
    swap([change.reversed() for change in reversed(changes)], token, observe)


def sweep(changes: Iterable[Change], token: str) -> None:
    """Remove the temporaries of a swap that did not end."""
    prefix = TEMPORARY + token
    for directory in {os.path.dirname(change.path) for change in changes}:
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            if name.startswith(prefix):
                os.unlink(os.path.join(directory, name))


def sync_directory(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """Create path, which must not exist, with everything set before anybody else may open it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directories(pending: Sequence[Change], touched: set[str], observe: Observer) -> None:
    made = [c for c in pending if isinstance(c.after, Directory) and not os.path.isdir(c.path)]
    for change in sorted(made, key=lambda c: c.path.count("/")):
        observe("make", change.path)
        # Closed until it has its owner; its mode follows with the other attributes.
        os.mkdir(change.path, 0o700)
        touched.add(os.path.dirname(change.path))


def _stage(pending: Sequence[Change], token: str, observe: Observer) -> list[tuple[str, str]]:
    staged: list[tuple[str, str]] = []
    for index, change in enumerate(pending):
        if not isinstance(change.after, (File, Link)):
            continue
        observe("stage", change.path)
        temporary = os.path.join(os.path.dirname(change.path), f"{TEMPORARY}{token}-{index}")
        _write(temporary, change.after)
        staged.append((temporary, change.path))
    return staged


def _write(path: str, node: Node) -> None:
    if isinstance(node, Link):
        os.symlink(node.target, path)
    elif isinstance(node, File):
        write_new(path, node.content, node.mode, node.uid, node.gid)


def _remove(pending: Sequence[Change], touched: set[str], observe: Observer) -> None:
    gone = [change for change in pending if isinstance(change.after, Absent)]
    for change in sorted(gone, key=lambda c: -c.path.count("/")):
        observe("remove", change.path)
        if isinstance(change.before, Directory):
            _remove_if_empty(change.path)
        elif read_node(change.path) != ABSENT:
            os.unlink(change.path)
        touched.add(os.path.dirname(change.path))


def _remove_if_empty(path: str) -> None:
    """A directory that somebody else has put something into is no longer only ours."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError:
        if not os.listdir(path):
            raise


def _set_attributes(pending: Sequence[Change], observe: Observer) -> None:
    for change in pending:
        node = change.after
        if isinstance(node, Directory) and read_node(change.path) != node:
            observe("attributes", change.path)
            os.chown(change.path, node.uid, node.gid)
            os.chmod(change.path, node.mode)

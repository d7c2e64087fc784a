# SPDX-License-Identifier: GPL-3.0-or-later
"""What may lie at a path, and how to read it from the file system."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Union


@dataclass(frozen=True)
class Absent:
    """Nothing lies at the path."""


@dataclass(frozen=True)
class File:
    content: bytes = field(repr=False)
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Directory:
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Other:
    """A socket, device or pipe: never replaced, never removed."""

    kind: str


Node = Union[Absent, File, Link, Directory, Other]
ABSENT = Absent()
KINDS = {Absent: "nothing", File: "a file", Link: "a symbolic link", Directory: "a directory"}


def kind_of(node: Node) -> str:
    return node.kind if isinstance(node, Other) else KINDS[type(node)]


def read_node(path: str) -> Node:
    """The node at path, not following a symbolic link there."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return ABSENT
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISREG(info.st_mode):
        return File(read_bytes(path), info.st_uid, info.st_gid, mode)
    if stat.S_ISLNK(info.st_mode):
        return Link(os.readlink(path))
    if stat.S_ISDIR(info.st_mode):
        return Directory(info.st_uid, info.st_gid, mode)
    if stat.S_ISSOCK(info.st_mode):
        return Other("a socket")
    if stat.S_ISFIFO(info.st_mode):
        return Other("a pipe")
    return Other("a device")


def read_bytes(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()

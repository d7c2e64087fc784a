# SPDX-License-Identifier: GPL-3.0-or-later
"""A private view of the file system in which chosen directories may be changed without touching the live ones."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from collections.abc import Iterable, Sequence

from .errors import RehearsalImpossible

CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV = 2, 4
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
COPY_LIMIT = 64 * 1024 * 1024


def enter(directories: Sequence[str], workplace: str) -> None:
    """Give this process its own mounts, with a writable throw-away layer over each directory.

    For a forked child only: there is no way back. `workplace` is an empty directory to mount a tmpfs on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise _impossible("unshare(CLONE_NEWNS)")
    _mount(libc, "none", "/", None, MS_REC | MS_PRIVATE)
    _mount(libc, "tmpfs", workplace, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700")
    for number, directory in enumerate(collapse(directories)):
        _cover(libc, directory, os.path.join(workplace, str(number)))


def collapse(directories: Iterable[str]) -> list[str]:
    """The fewest directories that contain all of them, none inside another."""
    kept: list[str] = []
    for directory in sorted(set(directories)):
        if not any(directory == other or directory.startswith(other.rstrip("/") + "/") for other in kept):
            kept.append(directory)
    return kept


def concerned(path: str) -> str:
    """The real directory that a change at path changes: itself, or the deepest one that exists above it."""
    parent = path if os.path.isdir(path) and not os.path.islink(path) else os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    return os.path.realpath(parent)


def mounts_below(directory: str, mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Mount points inside directory, outer ones first."""
    points: list[str] = []
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            point = _unescape(line.split(" ")[4])
            if point.startswith(directory.rstrip("/") + "/") and point not in points:
                points.append(point)
    return sorted(points)


def _cover(libc: ctypes.CDLL, directory: str, place: str) -> None:
    if directory == "/":
        raise RehearsalImpossible(
            "the set changes something directly in /, which cannot be rehearsed: create its top directory beforehand"
        )
    lower, upper, work = (os.path.join(place, name) for name in ("lower", "upper", "work"))
    for path in (lower, upper, work):
        os.makedirs(path)
    # Mounts inside (a container's /etc/hosts, say) would be hidden by the layer: keep hold of them, put them back.
    inner = [(point, os.open(point, os.O_PATH | os.O_CLOEXEC)) for point in mounts_below(directory)]
    # By way of a bind mount, as the options of an overlay cannot express every path.
    _mount(libc, directory, lower, None, MS_BIND)
    _copy_attributes(directory, upper)
    try:
        _mount(libc, "overlay", directory, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")
    except RehearsalImpossible as error:
        _copy_instead(libc, lower, upper, directory, error)
    for point, descriptor in inner:
        if os.path.lexists(point):
            _mount(libc, f"/proc/self/fd/{descriptor}", point, None, MS_BIND)
        os.close(descriptor)


def _copy_instead(
    libc: ctypes.CDLL, lower: str, copy: str, directory: str, cause: RehearsalImpossible
) -> None:
    """Where overlays cannot be stacked any further, a copy serves as well, as long as it is small."""
    size = sum(
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _names, files in os.walk(lower)
        for name in files
    )
    if size > COPY_LIMIT:
        raise RehearsalImpossible(f"{cause}; and {directory} is too large for a copy ({size} bytes)")
    _copy_tree(lower, copy)
    _mount(libc, copy, directory, None, MS_BIND)


def _copy_tree(source: str, target: str) -> None:
    _copy_attributes(source, target)
    for entry in os.scandir(source):
        place = os.path.join(target, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        elif entry.is_dir(follow_symlinks=False):
            os.mkdir(place)
            _copy_tree(entry.path, place)
        elif entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, place)
            _copy_attributes(entry.path, place)


def _copy_attributes(source: str, target: str) -> None:
    info = os.stat(source)
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, info.st_mode & 0o7777)


def _mount(
    libc: ctypes.CDLL, source: str, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]) != 0:
        raise _impossible(f"mount of {kind or source} on {target}")


def _impossible(what: str) -> RehearsalImpossible:
    reason = os.strerror(ctypes.get_errno())
    return RehearsalImpossible(
        f"the set cannot be rehearsed: {what}: {reason}. It needs root with CAP_SYS_ADMIN"
        " (become: true; in a container: privileged). Nothing was changed"
    )


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text

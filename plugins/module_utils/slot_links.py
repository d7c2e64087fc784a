# SPDX-License-Identifier: GPL-3.0-or-later
"""The hundred links by which the edge gives each slot its share of the requests.

Every link leads to the socket of one slot, so a weight is a number of links. Each link is replaced by one atomic
rename: whatever moment a run is killed at, every request finds a slot, and the next run carries on from there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SLOTS = ("blue", "green")
NUMBERS = tuple(f"{number:02d}" for number in range(100))
TEMPORARY = ".new-"
CONNECT_TIMEOUT = 5.0

# Number of a link and the slot that it leads to, None where it is missing or leads elsewhere.
Assignment = Mapping[str, "str | None"]


def other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def socket_path(sockets: str, slot: str) -> str:
    return os.path.join(sockets, f"{slot}.sock")


def link_path(directory: str, number: str) -> str:
    return os.path.join(directory, f"{number}.sock")


def read(directory: str, sockets: str) -> dict[str, str | None]:
    """The slot of every link, as it is now."""
    slots = {socket_path(sockets, slot): slot for slot in SLOTS}
    return {number: slots.get(_target(link_path(directory, number))) for number in NUMBERS}


def weights(assignment: Assignment) -> dict[str, int]:
    """How many links lead to each slot, and how many to none."""
    found = list(assignment.values())
    return {**{slot: found.count(slot) for slot in SLOTS}, "unassigned": found.count(None)}


def plan(assignment: Assignment, slot: str, weight: int) -> dict[str, str]:
    """The fewest links to change so that `weight` of them lead to `slot` and the rest to the other one.

    A growing slot takes the lowest numbers and a shrinking one gives back the highest, so that the clients of a
    small weight are among those of a larger one.
    """
    there = [number for number in NUMBERS if assignment[number] == slot]
    nowhere = [number for number in NUMBERS if assignment[number] is None]
    elsewhere = [number for number in NUMBERS if assignment[number] == other(slot)]
    changes = {number: other(slot) for number in there[weight:]}
    gained = (nowhere + elsewhere)[: max(0, weight - len(there))]
    changes.update((number, slot) for number in gained)
    changes.update((number, other(slot)) for number in nowhere if number not in changes)
    return dict(sorted(changes.items()))


def dead_sockets(sockets: str, slots: set[str]) -> dict[str, str]:
    """Those of the slots' sockets that take no connections, with the reason."""
    reasons = {slot: _refusal(socket_path(sockets, slot)) for slot in sorted(slots)}
    return {slot: reason for slot, reason in reasons.items() if reason}


def apply(directory: str, sockets: str, changes: Mapping[str, str]) -> None:
    """Re-point the links, each atomically."""
    _sweep(directory)
    for number, slot in changes.items():
        temporary = os.path.join(directory, f"{TEMPORARY}{number}")
        os.symlink(socket_path(sockets, slot), temporary)
        os.replace(temporary, link_path(directory, number))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """One run at a time; the kernel frees the lock of a killed one."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR):  # missing, or no link
            return ""
        raise


def _refusal(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.connect(path)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def _sweep(directory: str) -> None:
    """Remove what a killed run has left."""
    for name in os.listdir(directory):
        if name.startswith(TEMPORARY):
            os.unlink(os.path.join(directory, name))

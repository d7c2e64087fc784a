# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a set does not own but its services read: are they still what the services took over last?"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from typing import Optional

from .model import Renewal, WatchSpec

# Path to the content's hash; None where no file lay.
Fingerprints = dict[str, Optional[str]]


class NotWatchable(Exception):
    """What lies at a watched path has no content to compare."""


def fingerprint(path: str) -> str | None:
    """The hash of the file at path, links followed as its readers follow them; None when there is none."""
    try:
        # A pipe without a writer must not hold up the run.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NotWatchable(f"{path}: cannot be watched: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotWatchable(f"{path}: cannot be watched, only the content of plain files can")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    finally:
        os.close(descriptor)


def renewals(specs: Iterable[WatchSpec], recorded: Fingerprints, now: Fingerprints) -> list[Renewal]:
    """What differs from the record; a file without one is taken for what the services run on."""
    found: list[Renewal] = []
    for spec in specs:
        if spec.path not in recorded or recorded[spec.path] == now[spec.path]:
            continue
        word = "changed"
        if recorded[spec.path] is None:
            word = "appeared"
        elif now[spec.path] is None:
            word = "disappeared"
        found.append(Renewal(spec.path, word, spec.on_change))
    return found

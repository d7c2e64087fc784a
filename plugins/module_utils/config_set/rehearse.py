# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the service's own checkers judge the whole future set, at its real paths, before anything live changes."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from . import namespace
from .errors import ConfigSetError, RehearsalImpossible, Rejected
from .model import Change
from .nodes import Absent
from .process import run
from .swap import swap

Argv = Sequence[str]


def rehearse(
    changes: Sequence[Change], checks: Sequence[Argv], timeout: float, token: str, state: str | None = None
) -> None:
    """Raise Rejected with the checker's own words, or RehearsalImpossible; return when all agree.

    `state` is a directory that may keep an empty mount point; without it a temporary one is made and removed.
    """
    if state is None:
        with tempfile.TemporaryDirectory(prefix="config_set-") as workplace:
            answer = _in_child(changes, checks, timeout, token, workplace)
    else:
        workplace = os.path.join(state, "rehearsal")
        os.makedirs(workplace, 0o700, exist_ok=True)
        answer = _in_child(changes, checks, timeout, token, workplace)
    kind, message = answer["kind"], answer["message"]
    if kind == "rejected":
        raise Rejected(message, answer["words"])
    if kind == "impossible":
        raise RehearsalImpossible(message)
    if kind != "agreed":
        raise ConfigSetError(f"the rehearsal failed: {message}")


def _in_child(
    changes: Sequence[Change], checks: Sequence[Argv], timeout: float, token: str, workplace: str
) -> dict[str, Any]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = _judge(changes, checks, timeout, token, workplace)
            with os.fdopen(writer, "wb") as stream:
                stream.write(json.dumps(answer).encode())
        finally:
            # Neither the parent's exit handlers nor its buffered output may run twice.
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return dict(json.loads(data)) if data else {"kind": "died", "message": "its process died"}


def _place(change: Change) -> str:
    """Where it happens; a directory that goes must not be a mount point itself."""
    return os.path.dirname(change.path) if isinstance(change.after, Absent) else change.path


def _judge(
    changes: Sequence[Change], checks: Sequence[Argv], timeout: float, token: str, workplace: str
) -> dict[str, Any]:
    try:
        namespace.enter([namespace.concerned(_place(change)) for change in changes], workplace)
        swap(changes, token)
        for argv in checks:
            done = run(argv, timeout)
            if done.rc != 0:
                words = done.words or "(it said nothing)"
                return {
                    "kind": "rejected",
                    "message": " ".join(argv),
                    "words": f"{words}\n(exit code {done.rc})",
                }
    except RehearsalImpossible as error:
        return {"kind": "impossible", "message": str(error)}
    except Exception as error:  # the child has no other way to report
        return {"kind": "failed", "message": f"{type(error).__name__}: {error}"}
    return {"kind": "agreed", "message": ""}

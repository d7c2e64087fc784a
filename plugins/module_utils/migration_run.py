# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration that is tried again as long as it says that it found a table busy; free of Ansible."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

# sysexits.h: EX_TEMPFAIL, "the user is invited to retry".
TRY_AGAIN = 75
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
_WORDS = 2000


class Outcome(NamedTuple):
    """How it ended, after how many runs, what it said, and how long was waited between them."""

    status: int
    attempts: int
    stdout: str
    stderr: str
    paused: float


def pause(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds before another try after so many: doubled each time, and never the same for two that wait for each other."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + chance()))


def run(
    command: Sequence[str],
    retries: int,
    sleep: Callable[[float], None] = time.sleep,
    call: Callable[..., Any] = subprocess.run,
) -> Outcome:
    """Run it, and again when it ends with TRY_AGAIN, at most so many times more.

    :raises OSError: if it cannot be started.
    """
    attempts, paused = 0, 0.0
    while True:
        attempts += 1
        done = call(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode != TRY_AGAIN or attempts > retries:
            return Outcome(done.returncode, attempts, done.stdout, done.stderr, paused)
        seconds = pause(attempts)
        paused += seconds
        sleep(seconds)


def words(outcome: Outcome, phase: str) -> str:
    """Why it failed, and with what in the end."""
    said = (outcome.stderr.strip() or outcome.stdout.strip() or "it said nothing")[-_WORDS:]
    said = _error(said) or said
    if outcome.status == TRY_AGAIN:
        times = "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
        return f"{phase} was tried {times} and found the database busy each time: {said}"
    return f"{phase} failed with status {outcome.status}: {said}"


def _error(said: str) -> str:
    """What stands in a line of JSON, as the example application ends with."""
    try:
        loaded = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        return ""
    return str(loaded["error"]) if isinstance(loaded, dict) and "error" in loaded else ""

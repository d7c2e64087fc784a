# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ends of a migration are tried again, how often, and what is said in the end."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import migration_run
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules import calling

# Counts its own runs, and finds the table free at the third.
BUSY = """
import pathlib, sys
runs = pathlib.Path(sys.argv[1])
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
if len(runs.read_text()) < int(sys.argv[2]):
    print('{"error": "canceling statement due to lock timeout"}', file=sys.stderr)
    sys.exit(int(sys.argv[3]))
print("done")
"""


def program(tmp_path: Path, good: int, status: int = 75) -> list[str]:
    return [sys.executable, "-c", BUSY, str(tmp_path / "runs"), str(good), str(status)]


def test_a_busy_table_is_tried_again_after_growing_pauses(tmp_path: Path) -> None:
    pauses: list[float] = []
    outcome = migration_run.run(program(tmp_path, 4), 5, pauses.append)
    assert (outcome.status, outcome.attempts, outcome.stdout) == (0, 4, "done\n")
    assert len(pauses) == 3
    assert outcome.paused == sum(pauses)
    for number, seconds in enumerate(pauses):
        assert 0.5 * 2**number <= seconds <= 1.5 * 2**number


def test_it_is_given_up_after_so_many(tmp_path: Path) -> None:
    outcome = migration_run.run(program(tmp_path, 9), 2, lambda seconds: None)
    assert (outcome.status, outcome.attempts) == (75, 3)
    assert migration_run.words(outcome, "the contract") == (
        "the contract was tried 3 times and found the database busy each time: canceling statement due to lock timeout"
    )
    once = migration_run.run(program(tmp_path, 99), 0)
    assert once.attempts == 1
    assert "was tried once and" in migration_run.words(once, "x")


@pytest.mark.parametrize("status", [1, 2, 78, 125])
def test_any_other_end_is_the_end(tmp_path: Path, status: int) -> None:
    outcome = migration_run.run(
        program(tmp_path, 9, status), 5, lambda seconds: pytest.fail("it was tried again")
    )
    assert (outcome.status, outcome.attempts) == (status, 1)
    assert f"failed with status {status}: canceling" in migration_run.words(outcome, "the migration")


def test_pauses_grow_to_a_bound_and_differ() -> None:
    assert len({migration_run.pause(3) for number in range(20)}) > 10
    even = [migration_run.pause(attempt, lambda: 0.5) for attempt in range(1, 9)]
    assert even == [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(one <= other for one, other in pairwise(even))


def test_words_without_json_are_the_program_s_own() -> None:
    outcome = migration_run.Outcome(1, 1, "", "docker: no such image\n", 0)
    assert migration_run.words(outcome, "x") == "x failed with status 1: docker: no such image"
    assert migration_run.words(outcome._replace(stderr=""), "x").endswith("it said nothing")


def test_the_module(tmp_path: Path) -> None:
    options = {"argv": program(tmp_path, 2), "retries": 1}
    assert calling.call("migration_run", options, check=True)["changed"] is True
    assert not (tmp_path / "runs").exists()
    answer = calling.call("migration_run", options)
    assert (answer["changed"], answer["rc"], answer["attempts"]) == (True, 0, 2)
    failed = calling.call("migration_run", {"argv": program(tmp_path, 9, 1), "phase": "the backfill"})
    assert failed["failed"] is True
    assert (failed["rc"], failed["msg"].partition(":")[0]) == (1, "the backfill failed with status 1")
    assert calling.call("migration_run", {"argv": ["/nonexistent"]})["rc"] == 127

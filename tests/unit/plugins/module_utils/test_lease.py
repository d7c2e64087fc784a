# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of releases: one holder at a time, a token that only grows, and an end that needs nobody."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import lease
from ansible_collections.techsaas.hardened.plugins.module_utils.lease import LeaseError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

TTL = 100.0


def take(lock: dict[str, Any], run: str, now: float, dead: str = "") -> dict[str, Any]:
    return lease.taken(lock, run, f"{run}@laptop", "release", TTL, now, dead)


def test_a_held_lock_is_refused_and_says_whose_it_is() -> None:
    lock = take({}, "one", 1000)
    with pytest.raises(LeaseError) as caught:
        take(lock, "two", 1050)
    assert str(caught.value) == (
        "one@laptop holds the lock of the fleet's releases until 1970-01-01T00:18:20Z (in 50 s): release. Wait, or lock.yml -e state=off "
        "takes it off if that run is gone"
    )


def test_it_ends_by_itself_and_that_is_recorded() -> None:
    lock = take(take({}, "one", 0), "two", TTL + 1)
    assert (lock["run"], lock["token"], lock["took_over_from"]) == ("two", 2, "one")


def test_a_run_that_is_known_to_be_gone_is_taken_over_from_at_once() -> None:
    held = take({}, "one", 0)
    assert take(held, "two", 1, dead="one")["token"] == 2
    with pytest.raises(LeaseError):
        take(held, "two", 1, dead="another")


def test_what_was_given_back_is_free_and_leaves_no_trace_of_a_take_over() -> None:
    lock = take(lease.released(take({}, "one", 0), "one"), "two", 1)
    assert (lock["token"], lock["took_over_from"]) == (2, None)


def test_a_run_that_was_overtaken_stops() -> None:
    lock = take(take({}, "one", 0), "two", TTL + 1)
    with pytest.raises(LeaseError, match=r"^this run has lost the lock .*; two@laptop holds the lock"):
        lease.renewed(lock, "one", TTL, TTL + 2)
    assert lease.released(lock, "one") == lock


def test_a_lock_by_hand_has_no_end_unless_given_one_and_nobody_takes_it_over() -> None:
    lock = lease.locked({}, "me", "me@laptop", "the database moves", 0, 0)
    assert lease.is_held(lock, 1e12)
    with pytest.raises(LeaseError, match="until somebody takes it off: the database moves"):
        take(lock, "two", 1e12, dead="me")
    assert not lease.is_held(lease.locked({}, "me", "me@laptop", "lunch", 60, 0), 61)
    assert lease.unlocked(lock)["held"] is False
    assert lease.unlocked({}) == {}


def test_a_lock_by_hand_does_not_stop_a_run_that_is_under_way() -> None:
    with pytest.raises(LeaseError):
        lease.locked(take({}, "one", 0), "me", "me@laptop", "stop", 0, 1)


class Runs(RuleBasedStateMachine):
    """Runs that come, go, die and wake up too late."""

    def __init__(self) -> None:
        super().__init__()
        self.lock: dict[str, Any] = {}
        self.now = 0.0

    @rule(seconds=st.floats(0, 2 * TTL))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(run=st.sampled_from("abc"))
    def takes(self, run: str) -> None:
        before = dict(self.lock)
        free = not lease.is_held(before, self.now)
        try:
            self.lock = take(self.lock, run, self.now)
        except LeaseError:
            assert not free
            assert before["run"] != run
        else:
            assert free or before["run"] == run
            assert self.lock["token"] == before.get("token", 0) + (1 if free else 0)

    @rule(run=st.sampled_from("abc"))
    def renews(self, run: str) -> None:
        holds = self.lock.get("held") and self.lock["run"] == run
        try:
            self.lock = lease.renewed(self.lock, run, TTL, self.now)
        except LeaseError:
            assert not holds
        else:
            assert holds

    @rule(run=st.sampled_from("abc"))
    def gives_back(self, run: str) -> None:
        others = self.lock.get("run") != run and lease.is_held(self.lock, self.now)
        self.lock = lease.released(self.lock, run)
        assert lease.is_held(self.lock, self.now) == others


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, deadline=None)

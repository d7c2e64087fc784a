# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release may go on: releases that are the same are never told apart, bad ones soon, and what is unknown is not judged."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import rollout_judge
from ansible_collections.techsaas.hardened.plugins.module_utils.rollout_judge import (
    METRICS,
    Tally,
    judge,
    side,
)
from hypothesis import given
from hypothesis import strategies as st

MIN = 50


def line(status: int = 200, seconds: float = 0.01, **fields: Any) -> dict[str, Any]:
    asked = {
        "upstream_status": str(status),
        "upstream_seconds": f"{seconds:.3f}",
        "upstream_connect_seconds": "0.000",
    }
    return {"status": status, "client": "192.0.2.1", **asked, **fields}


def tally(*lines: tuple[int, dict[str, Any]], sticky: bool = False) -> Tally:
    made = Tally(sticky)
    for times, one in lines:
        for _time in range(times):
            made.add(one)
    return made


def verdict(canary: Tally, stable: Tally, **options: Any) -> dict[str, Any]:
    metrics = rollout_judge.metrics(options.pop("metrics", {}))
    return judge(side([canary.summary()]), side([stable.summary()]), metrics, MIN, **options)


GOOD = tally((1000, line()))


# --- verdicts ---


def test_the_same_passes() -> None:
    assert verdict(tally((100, line())), GOOD)["verdict"] == "pass"


def test_too_few_requests_are_inconclusive_and_say_whose() -> None:
    judged = verdict(tally((49, line())), GOOD)
    assert (judged["verdict"], judged["reasons"]) == (
        "inconclusive",
        ["the new release has answered 49 requests, fewer than 50"],
    )
    assert verdict(GOOD, tally())["reasons"] == ["the release before has answered 0 requests, fewer than 50"]


@pytest.mark.parametrize(
    ("bad", "metric"),
    [
        (line(500), "server_errors"),
        (line(200, upstream_status="502, 200"), "server_errors"),
        (line(403), "denied"),
        (line(401), "denied"),
        (line(403, upstream_status="", upstream_seconds="", waf="blocked"), "waf_blocked"),
        (line(429, upstream_status="", upstream_seconds=""), "rate_limited"),
    ],
)
def test_what_gets_more_frequent_fails(bad: dict[str, Any], metric: str) -> None:
    judged = verdict(tally((80, line()), (20, bad)), GOOD)
    assert judged["verdict"] == "fail"
    assert [reason.partition(":")[0] for reason in judged["reasons"]] == [metric]
    # As often before: not the new release's.
    assert (
        verdict(
            tally((80, line()), (20, bad)),
            tally((800, line()), (200, bad)),
            metrics={"server_errors": {"limit": 1}},
        )["verdict"]
        == "pass"
    )


def test_what_was_refused_and_no_longer_is_fails() -> None:
    guarded = tally((700, line()), (300, line(401)))
    judged = verdict(tally((100, line())), guarded)
    assert (judged["verdict"], judged["reasons"][0].partition(":")[0]) == ("fail", "admitted")


def test_a_refusal_by_the_edge_is_none_by_the_application() -> None:
    refused = line(401, upstream_status="", upstream_seconds="", refused="revoked")
    assert verdict(tally((100, line()), (50, refused)), GOOD)["verdict"] == "pass"


def test_slower_answers_fail_and_the_way_to_the_application_does_not_count() -> None:
    assert verdict(tally((100, line(seconds=0.05))), GOOD)["reasons"][0].startswith("latency_p95: 95%")
    handshakes = line(seconds=0.05, upstream_connect_seconds="0.040")
    assert verdict(tally((100, handshakes)), GOOD)["verdict"] == "pass"


def test_a_difference_that_nobody_notices_passes() -> None:
    assert verdict(tally((100, line(seconds=0.015))), GOOD)["verdict"] == "pass"
    errors = tally((9950, line()), (50, line(500)))  # half a percent: significant, and within the tolerance
    assert verdict(errors, tally((100000, line())))["verdict"] == "pass"


def test_the_limit_holds_without_a_release_to_compare_with() -> None:
    judged = verdict(tally((10, line()), (30, line(503))), tally())
    assert (judged["verdict"], "more than the limit of 10%" in judged["reasons"][0]) == ("fail", True)


def test_a_metric_in_dry_run_is_told_and_decides_nothing() -> None:
    judged = verdict(tally((80, line()), (20, line(403))), GOOD, metrics={"denied": {"dry_run": True}})
    assert (judged["verdict"], judged["metrics"]["denied"]["verdict"]) == ("pass", "fail")


def test_in_the_watch_only_what_clients_cannot_bring_about_counts() -> None:
    assert verdict(tally((50, line()), (50, line(403))), GOOD, watching=True)["verdict"] == "pass"
    assert verdict(tally((50, line()), (50, line(500))), GOOD, watching=True)["verdict"] == "fail"


def test_a_client_that_stays_on_its_side_counts_once() -> None:
    odd = line(403, key_id="odd")
    others = [(1, line(key_id=f"key-{number}")) for number in range(99)]
    assert verdict(tally(*others, (5000, odd), sticky=True), tally(*others, sticky=True))["verdict"] == "pass"


def test_what_came_while_the_release_was_cold_says_nothing_of_its_speed() -> None:
    cold = Tally()
    for _time in range(100):
        cold.add(line(seconds=2), cold=True)
    assert (cold.size, cold.latencies) == (100, {})


def test_edges_are_added_up() -> None:
    halves = [tally((30, line()), (10, line(500))).summary() for _edge in range(2)]
    both = judge(side(halves), side([GOOD.summary()]), METRICS, MIN)
    assert both["requests"] == {"canary": 80, "stable": 1000}
    assert both["verdict"] == "fail"


def test_lines_that_are_none() -> None:
    assert [rollout_judge.parse(raw) for raw in (b"", b"{", b"[]", b'{"a": 1}')] == [
        None,
        None,
        None,
        {"a": 1},
    ]
    odd = Tally()
    odd.add({})
    odd.add({"status": 0, "upstream_seconds": "-", "upstream_status": "-"})
    assert (odd.requests, odd.events) == (2, {})


# --- the tests themselves ---


def test_fisher_s_test_is_that_of_the_books() -> None:
    # The lady tasting tea: all four cups right by chance is 1 in 70; three or more 17 in 70.
    assert rollout_judge.more_often(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert rollout_judge.more_often(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert rollout_judge.more_often(0, 10, 5, 10) == pytest.approx(1.0)


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_binomial_tail_is_its_sum(of: int, rate: float) -> None:
    number = min(of, math.ceil(of * rate) + 1)
    exact = sum(math.comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(number, of + 1))
    assert rollout_judge.at_least(number, of, rate) == pytest.approx(exact, rel=1e-6, abs=1e-12)


@given(st.floats(0.0, 100.0))
def test_a_bucket_holds_what_is_in_it(seconds: float) -> None:
    key = rollout_judge.bucket(seconds)
    assert seconds <= rollout_judge.upper(key) * (1 + 1e-9)
    assert key == 0 or seconds > rollout_judge.upper(key - 1) * (1 - 1e-9)


def test_a_quantile_is_that_of_its_answers() -> None:
    spread = tally((95, line(seconds=0.01)), (5, line(seconds=1)))
    counted = side([spread.summary()])
    assert counted.quantile(0.95) == pytest.approx(0.01, rel=0.05)
    assert counted.quantile(0.99) == pytest.approx(1, rel=0.05)
    assert counted.slower_than(0.5) == 5
    assert json.loads(json.dumps(spread.summary())) == spread.summary()


# --- what is claimed of it: a release's steps, looked at twice a second, all at the same odds ---

STEPS = (1, 5, 25, 50)
INTERVAL = 60.0


def simulate(rate: float, seed: int, worse: float = 0.0) -> tuple[str, float]:
    """A whole canary at `rate` requests a second: its outcome, and after how many seconds.

    One in a hundred answers is a 500 and one in twenty a 403, latencies spread as they do in life; and `worse` of the new release's
    are errors as well. Each second is a look, and the service's own requests come where clients' are too few.
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation
    for number, weight in enumerate(STEPS):
        canary, stable = Tally(), Tally()
        for second in range(int(INTERVAL)):
            arrived = int(rate) + (chance.random() < rate % 1)
            for _request in range(arrived):
                new = chance.random() * 100 < weight
                drawn = chance.random()
                status = 500 if drawn < 0.01 + (worse if new else 0) else 403 if drawn > 0.95 else 200
                (canary if new else stable).add(line(status, chance.lognormvariate(-4, 0.8)))
            if second >= INTERVAL / 2:
                missing = MIN - min(canary.size, stable.size)
                for _probe in range(math.ceil(missing / (INTERVAL - second)) if missing > 0 else 0):
                    canary.add_probe(chance.lognormvariate(-5, 0.5), failed=False)
                    stable.add_probe(chance.lognormvariate(-5, 0.5), failed=False)
            judged = verdict(canary, stable, metrics={"server_errors": {"limit": 0.5}})
            if judged["verdict"] == "fail":
                return "fail", number * INTERVAL + second
        if judged["verdict"] != "pass":
            return "inconclusive", (number + 1) * INTERVAL
    return "pass", len(STEPS) * INTERVAL


@pytest.mark.parametrize("rate", [0.1, 1, 10])
def test_releases_that_are_the_same_are_not_told_apart(rate: float) -> None:
    outcomes = [simulate(rate, seed)[0] for seed in range(100)]
    assert outcomes.count("pass") >= 99, outcomes


def test_a_release_with_a_fifth_of_errors_is_found() -> None:
    found = [simulate(10, seed, worse=0.2) for seed in range(20)]
    assert {outcome for outcome, _seconds in found} == {"fail"}
    # At the latest in the third step, with a quarter of the requests.
    assert max(seconds for _outcome, seconds in found) < 3 * INTERVAL

# SPDX-License-Identifier: GPL-3.0-or-later
"""What all edges together decide about a step."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.filter.rollout import FilterModule

FILTERS = FilterModule().filters()
RUNS = {"container": {"running": True, "restarts": 0, "oom_killed": False, "exit_code": 0}, "item": "app-1"}


def side(many: int, errors: int = 0) -> dict[str, Any]:
    events = {"server_errors": errors, "denied": 0, "waf_blocked": 0, "rate_limited": 0}
    return {"requests": many, "probes": 0, "size": many, "events": events, "latencies": {"10": many}}


def edge(name: str, canary: dict[str, Any], **fields: Any) -> dict[str, Any]:
    rollout = {"phase": "canary", "weight": 10, "reason": "", **fields}
    return {
        "inventory_hostname": name,
        "_rollout_step": {"canary": canary, "stable": side(1000), "rollout": rollout},
    }


def decide(
    *edges: dict[str, Any], slots: list[dict[str, Any]] | None = None, **options: Any
) -> dict[str, Any]:
    verdict: dict[str, Any] = FILTERS["rollout_verdict"](
        edges, [RUNS] if slots is None else slots, {}, 50, **options
    )
    return verdict


def test_edges_that_each_know_too_little_know_enough_together() -> None:
    verdict = decide(edge("a", side(30)), edge("b", side(30)))
    assert (verdict["outcome"], verdict["weight"]) == ("go", 10)
    assert verdict["line"].startswith("pass; 60 requests beside 2000, and 0 of our own; ")


@pytest.mark.parametrize(
    ("inconclusive", "outcome"), [("hold", "held"), ("promote", "go"), ("abort", "failed")]
)
def test_what_becomes_of_a_release_of_which_nothing_is_known(inconclusive: str, outcome: str) -> None:
    verdict = decide(edge("a", side(10)), inconclusive=inconclusive)
    assert (verdict["outcome"], verdict["reasons"]) == (
        outcome,
        ["the new release has answered 10 requests, fewer than 50"],
    )


def test_a_release_that_passes_is_held_where_somebody_wants_to_look() -> None:
    assert decide(edge("a", side(100)), hold=True)["outcome"] == "held"
    assert decide(edge("a", side(100, errors=50)), hold=True)["outcome"] == "failed"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"failed": True, "msg": "no"}, "b: no"),
        ({"unreachable": True, "msg": "no route"}, "b: no route"),
        ({}, "b: does not answer any more"),
    ],
)
def test_an_edge_that_fails_or_is_away_decides_against_it(step: dict[str, Any], reason: str) -> None:
    other = {"inventory_hostname": "b", "_rollout_step": step}
    assert decide(edge("a", side(100)), other)["reasons"] == [reason]
    assert decide(edge("a", side(100)), {"inventory_hostname": "b"})["outcome"] == "failed"


def test_an_edge_that_has_gone_back_is_not_overruled() -> None:
    verdict = decide(edge("a", side(100)), edge("b", side(100), phase="aborted", reason="server_errors"))
    assert (verdict["outcome"], verdict["reasons"]) == ("failed", ["b: server_errors"])


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (
            {"restarts": 2, "exit_code": 139, "running": True},
            "app-1: its container has ended by itself 2 times, last with status 139",
        ),
        ({"oom_killed": True, "running": True}, "app-1: its container was ended for want of memory"),
        ({"running": False}, "app-1: its container does not run"),
        ({}, "app-1: its container does not run"),
    ],
)
def test_containers_that_do_not_stay_up_decide_against_it(container: dict[str, Any], words: str) -> None:
    verdict = decide(edge("a", side(100)), slots=[{"item": "app-1", "container": container}])
    assert (verdict["outcome"], verdict["reasons"]) == ("failed", [words])


def test_an_application_host_that_is_away_decides_against_it() -> None:
    verdict = decide(edge("a", side(100)), slots=[{"item": "app-1", "unreachable": True, "msg": "no route"}])
    assert verdict["reasons"] == ["app-1: no route"]


def test_who_could_not_promote_it() -> None:
    hosts = [
        {"inventory_hostname": "a"},
        {"inventory_hostname": "b", "_rollout_broken": "no"},
        {"inventory_hostname": "c"},
    ]
    assert FILTERS["rollout_broken"](hosts, ["a", "b"]) == ["b: no", "c: does not answer any more"]
    assert FILTERS["rollout_broken"](hosts[:1], ["a"]) == []

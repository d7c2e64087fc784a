# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases under the eyes of clients that keep their connections: good ones, bad ones, held ones, and the ways back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from labkit.load import Load
from labkit.plays import eventually

from molecule.rollout.conftest import APPS, EDGES, Rollouts

ALL = 100


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_application_of_somebody_else_is_served(rollouts: Rollouts) -> None:
    answer = rollouts.client.request("POST", "/post", body={"a": 1})
    assert (answer.status, answer.json["json"]) == (200, {"a": 1})


def test_a_good_release_gets_its_share_and_then_all(rollouts: Rollouts) -> None:
    before = rollouts.serving
    with Load(rollouts.client) as load:
        started = time.time()
        output = succeeded(rollouts.release(slower=1))
        took = time.time() - started
    print(f"good release: {load.words}; whole run {took:.1f} s")
    assert load.lost == []
    assert set(load.since(0)) == {200}
    assert "10 %: pass" in output and "50 %: pass" in output
    now = rollouts.serving
    assert now["previous"]["release"] == before["release"] != now["release"]
    assert rollouts.weights() == [{now["slot"]: ALL}] * 2
    assert set(rollouts.phases()) <= {"watch", "confirmed"}


def test_a_canary_is_held_until_somebody_goes_on_with_it(rollouts: Rollouts) -> None:
    before = rollouts.serving
    with Load(rollouts.client, connections=10) as load:
        output = succeeded(rollouts.release("-e", "canary_hold=true"))
        assert "waits for you" in output
        assert rollouts.serving == before, "it is not recorded as what serves"
        assert rollouts.phases() == ["canary"] * 2
        other = "green" if before["slot"] == "blue" else "blue"
        assert [edge[other] for edge in rollouts.weights()] == [10] * 2
        refused = rollouts.release()
        assert refused.returncode != 0
        assert "promote.yml goes on with it, abort.yml ends it" in refused.stdout
        output = succeeded(rollouts.client.playbook("promote.yml", "-e", "rollout_watch=30"))
        assert "50 %: pass" in output
    print(f"hold and promote: {load.words}")
    assert load.lost == []
    assert rollouts.serving["previous"]["release"] == before["release"]
    assert rollouts.phases() == ["watch"] * 2
    succeeded(rollouts.client.playbook("promote.yml"))
    assert rollouts.phases() == ["confirmed"] * 2


def test_clients_choose_a_side_while_there_are_two(rollouts: Rollouts) -> None:
    before = rollouts.serving["slot"]
    succeeded(rollouts.release("-e", "canary_hold=true"))
    other = "green" if before == "blue" else "blue"
    for value, expected in (("always", {other}), ("never", {before})):
        ids = [
            rollouts.client.request("GET", "/headers", headers={"X-Canary": value}).request_id
            for _try in range(6)
        ]
        eventually(lambda: len(logged(rollouts, ids)) == len(ids), 10)  # noqa: B023 - asked at once
        assert {line["slot"] for line in logged(rollouts, ids)} == expected
        assert {line["forced"] for line in logged(rollouts, ids)} == {value}
    succeeded(rollouts.client.playbook("abort.yml", "-e", "reason=tried"))
    answer = rollouts.client.request("GET", "/headers", headers={"X-Canary": "always"})
    eventually(lambda: len(logged(rollouts, [answer.request_id])) == 1, 10)
    assert [line["slot"] for line in logged(rollouts, [answer.request_id])] == [before]


def logged(rollouts: Rollouts, ids: list[str]) -> list[dict[str, Any]]:
    text = rollouts.client.on(EDGES[0], "cat", "/var/log/nginx/access.jsonl")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if line["request_id"] in ids]


def test_an_aborted_canary_leaves_everything_as_it_was(rollouts: Rollouts) -> None:
    before, weights = rollouts.serving, rollouts.weights()
    with Load(rollouts.client) as load:
        succeeded(rollouts.release("-e", "canary_hold=true"))
        output = succeeded(rollouts.client.playbook("abort.yml", "-e", 'reason="second thoughts"'))
    print(f"hold and abort: {load.words}")
    assert "gets no requests any more" in output
    assert load.lost == []
    assert (rollouts.serving, rollouts.weights()) == (before, weights)
    assert [rollouts.record(edge)["reason"] for edge in EDGES] == ["second thoughts"] * 2
    again = succeeded(rollouts.client.playbook("abort.yml"))
    assert "Nothing was under way" in again


@pytest.mark.parametrize(
    ("fault", "metric", "harmed"),
    [
        pytest.param({"errors": 0.2}, "server_errors", lambda status: status >= 500, id="errors"),
        pytest.param({"denied": 0.2}, "denied", lambda status: status == 403, id="denied"),
        pytest.param({"slower": 3}, "latency_p", None, id="slower"),
    ],
)
def test_a_bad_canary_is_stopped(
    rollouts: Rollouts, fault: dict[str, Any], metric: str, harmed: Callable[[int], bool] | None
) -> None:
    before, weights = rollouts.serving, rollouts.weights()
    # Something that takes long enough for three times as long to be more than the machine's own noise.
    path = "/post" if harmed else "/delay/0.05"
    with Load(rollouts.client, path=path) as load:
        time.sleep(2)
        done = rollouts.release(**fault)
    assert done.returncode != 0
    assert metric in done.stdout, done.stdout[-3000:]
    assert "All requests go where they went before" in done.stdout
    assert (rollouts.serving, rollouts.weights()) == (before, weights)
    assert rollouts.phases() == ["aborted"] * 2
    record = rollouts.record(EDGES[0])
    bad = [one for one in load.answered if harmed and harmed(one.status)]
    share = len(bad) / len(load.answered)
    print(
        f"bad canary {fault}: {load.words}; ended {record['ended'] - record['begun']:.1f} s after its first request; {share:.2%} harmed"
    )
    assert load.lost == []
    assert share < 0.02


def test_a_release_that_fails_later_is_taken_back_without_a_controller(rollouts: Rollouts) -> None:
    before = rollouts.serving
    with Load(rollouts.client) as load:
        succeeded(rollouts.release("-e", "canary=false", errors=0.5, after=25))
        promoted = time.time()
        bad = rollouts.serving
        eventually(lambda: rollouts.phases() == ["withdrawn"] * 2, 60)
        time.sleep(1)
    first = min(one.at for one in load.answered if one.status >= 500)
    last = max(one.at for one in load.answered if one.status >= 500)
    print(
        f"taken back by the watch: {load.words}; {last - first:.1f} s from the first bad answer to the last, {first - promoted:.0f} s after"
    )
    assert load.lost == []
    assert last - first < 5
    assert rollouts.weights() == [{before["slot"]: ALL}] * 2
    # Whatever comes next knows.
    assert bad["release"] != before["release"]
    output = succeeded(rollouts.client.playbook("status.yml"))
    assert f"{bad['release']} was withdrawn" in output
    succeeded(rollouts.release())
    assert rollouts.serving["previous"]["release"] == before["release"]


def test_going_back_is_quick(rollouts: Rollouts) -> None:
    before = rollouts.serving
    with Load(rollouts.client) as load:
        started = time.time()
        succeeded(rollouts.client.playbook("rollback.yml"))
        took = time.time() - started
    print(f"rollback: {load.words}; whole playbook, with its verification, {took:.1f} s")
    assert load.lost == []
    assert set(load.since(0)) <= {200, 429}
    assert rollouts.serving["release"] == before["previous"]["release"]
    assert rollouts.phases() == ["confirmed"] * 2


def test_any_release_that_is_kept_can_be_gone_back_to(rollouts: Rollouts) -> None:
    first = rollouts.serving
    succeeded(
        rollouts.client.playbook("history.yml", "-e", f"release={first['release']}", "-e", "tag=golden")
    )
    with Load(rollouts.client, connections=20) as load:
        for _release in range(2):
            succeeded(rollouts.release("-e", "canary=false", "-e", "app_releases_kept=1"))
        listed = succeeded(rollouts.client.playbook("history.yml"))
        assert "kept, tag golden" in listed
        succeeded(rollouts.client.playbook("rollback.yml", "-e", "release=golden"))
    print(f"two releases, and back to the one before both: {load.words}")
    assert load.lost == []
    now = rollouts.serving
    assert (now["release"], now["image"]) == (first["release"], first["image"])
    for host in APPS:
        environment = rollouts.client.on(
            host, "docker", "exec", f"app-{now['slot']}", "/usr/bin/python3.13", "-c", ENVIRONMENT
        )
        assert environment.split() == [first["release"]]
    refused = rollouts.client.playbook("rollback.yml", "-e", "release=nonsense")
    assert refused.returncode != 0
    assert "which was not kept either" in refused.stdout and "Kept on every host: " in refused.stdout


ENVIRONMENT = "import os; print(os.environ['APP_RELEASE'])"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The service that watches a release, with a clock of the test's own: when it goes back, when it lets go, and what it counts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import (
    records,
    rollout_state,
    rollout_watch,
    slot_links,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.rollout_watch import Log, Watch

BUNDLE = {
    "token": 7,
    "release": "two",
    "image": "api@sha256:2",
    "slot": "green",
    "previous": {"release": "one", "image": "api@sha256:1", "slot": "blue"},
}
GOOD = {
    "status": 200,
    "upstream_status": "200",
    "upstream_seconds": "0.010",
    "upstream_connect_seconds": "0.000",
}
BAD = {**GOOD, "status": 500, "upstream_status": "500"}


class Peers:
    """Other edges, which say what the test says."""

    why = ""

    def gone_back(self, _record: object) -> str:
        return self.why


class Edge:
    """The files of an edge, its access log, and a clock."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in (rollout_state, rollout_watch):
            monkeypatch.setattr(module.time, "time", lambda: self.now)
        self.told: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(records, "audit", lambda event, **details: self.told.append((event, details)))
        self.root = root
        self.links = root / "var/lib/hardened/edge/slots"
        self.record = root / "var/lib/hardened/rollout.json"
        self.log = root / "access.jsonl"
        for directory in (self.links, root / "run/hardened-rollout"):
            directory.mkdir(parents=True)
        self.log.touch()
        self.peers = Peers()
        self.previous_fails = False
        self.probes: list[str] = []

    def watch(self, **settings: Any) -> Watch:
        given = {
            "access_log": str(self.log),
            "domain": "api.test",
            "sticky": False,
            "metrics": {},
            "min_requests": 50,
        }
        return Watch({"probe_paths": [], **given, **settings}, self.peers, self.probe, self.root)  # type: ignore[arg-type]

    def probe(self, slot: str, _path: str) -> tuple[float, bool]:
        self.probes.append(slot)
        return 0.01, self.previous_fails and slot == "blue"

    def carry_out(self, record: dict[str, Any]) -> None:
        rollout_state.carry_out(record, str(self.links), rollout_state.SOCKETS, self.record)

    def canary(self, weight: int = 10, seconds: float = 60, **changed: Any) -> None:
        record = rollout_state.stepped(
            self.stored, BUNDLE, weight, seconds, self.now + seconds + 120, hold=False
        )
        self.carry_out({**record, **changed})

    def promoted(self, **changed: Any) -> None:
        self.carry_out({**rollout_state.promoted(self.stored, BUNDLE, 600, must_confirm=False), **changed})

    def answers(self, slot: str, *lines: tuple[int, dict[str, Any]]) -> None:
        with self.log.open("a") as stream:
            for times, line in lines:
                stream.write((json.dumps({**line, "slot": slot}) + "\n") * times)

    @property
    def stored(self) -> dict[str, Any]:
        return rollout_state.read(self.record)

    @property
    def tally(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.root / "run/hardened-rollout/tally.json").read_text())
        return loaded

    @property
    def weights(self) -> dict[str, int]:
        return slot_links.weights(slot_links.read(str(self.links), rollout_state.SOCKETS))


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    return Edge(tmp_path, monkeypatch)


def test_nothing_to_watch_ends_it(edge: Edge) -> None:
    assert edge.watch().look() is False


def test_a_good_canary_is_left_alone_and_counted(edge: Edge) -> None:
    edge.canary()
    watch = edge.watch()
    assert watch.look()
    edge.answers("blue", (900, GOOD))
    edge.answers("green", (100, GOOD))
    edge.now += 10
    assert watch.look()
    assert (edge.tally["canary"]["requests"], edge.tally["stable"]["requests"]) == (100, 900)
    assert edge.tally["verdict"]["verdict"] == "pass"
    assert edge.weights == {"blue": 90, "green": 10, "unassigned": 0}


def test_what_was_before_the_step_and_what_was_forced_does_not_count(edge: Edge) -> None:
    edge.canary()
    edge.answers("green", (100, BAD))
    watch = edge.watch()
    watch.look()
    edge.answers("green", (70, {**BAD, "forced": "always"}))
    edge.answers("green", (60, GOOD))
    edge.answers(
        "", (5, {"status": 503, "slot_number": "nonsense"}), (3, {"status": 429, "slot_number": "03"})
    )
    watch.look()
    assert edge.tally["canary"]["requests"] == 63
    assert edge.tally["canary"]["events"] == {
        "server_errors": 0,
        "denied": 0,
        "waf_blocked": 0,
        "rate_limited": 3,
    }


def test_a_bad_canary_loses_its_requests_at_once(edge: Edge) -> None:
    edge.canary()
    assert sorted(os.listdir(edge.links))[-2:] == ["canary.sock", "stable.sock"]
    watch = edge.watch()
    watch.look()
    edge.answers("blue", (900, GOOD))
    edge.answers("green", (80, GOOD), (20, BAD))
    assert watch.look() is False
    assert edge.weights == {"blue": 100, "green": 0, "unassigned": 0}
    assert edge.stored["phase"] == "aborted"
    assert edge.stored["reason"].startswith("server_errors: 20.0% of 100")
    assert not (edge.links / "canary.sock").is_symlink()
    assert edge.told == [
        (
            "rollout_aborted",
            {"release": "two", "previous": "one", "weight": 0, "run": 7, "reason": edge.stored["reason"]},
        )
    ]


def test_a_canary_that_nobody_goes_on_with_ends(edge: Edge) -> None:
    edge.canary()
    watch = edge.watch()
    edge.now += 179
    assert watch.look()
    edge.now += 2
    assert watch.look() is False
    assert (edge.stored["phase"], edge.weights["green"]) == ("aborted", 0)


def test_the_next_step_counts_anew(edge: Edge) -> None:
    edge.canary()
    watch = edge.watch()
    watch.look()
    edge.answers("green", (100, GOOD))
    watch.look()
    edge.now += 60
    edge.canary(weight=50)
    watch.look()
    assert edge.tally["canary"]["requests"] == 0
    assert edge.stored["begun"] == 1000.0


def test_where_clients_are_few_the_edge_asks_itself_in_the_second_half(edge: Edge) -> None:
    edge.canary()
    watch = edge.watch(probe_paths=["/readyz"])
    for _look in range(58):
        watch.look()
        edge.now += 0.5
    assert edge.probes == []
    for _look in range(62):
        watch.look()
        edge.now += 0.5
    assert edge.tally["verdict"]["verdict"] == "pass"
    assert edge.probes.count("green") == edge.probes.count("blue") == 50


def test_a_release_that_fails_in_the_watch_is_withdrawn(edge: Edge) -> None:
    edge.canary()
    edge.promoted()
    assert edge.weights["green"] == 100
    watch = edge.watch(probe_paths=["/readyz"])
    watch.look()
    # Ten good minutes hide nothing.
    for _window in range(10):
        edge.answers("green", (5000, GOOD))
        edge.now += 31
        assert watch.look()
    edge.answers("green", (60, GOOD), (40, BAD))
    assert watch.look() is False
    assert (edge.stored["phase"], edge.weights["blue"]) == ("withdrawn", 100)


def test_it_stays_where_the_release_before_does_not_answer(edge: Edge) -> None:
    edge.promoted()
    watch = edge.watch(probe_paths=["/readyz"])
    watch.look()
    edge.previous_fails = True
    edge.answers("green", (100, BAD))
    assert watch.look()
    assert watch.look()
    assert (edge.stored["phase"], edge.weights["green"]) == ("watch", 100)
    assert [event for event, _details in edge.told] == ["rollout_cannot_go_back"]
    edge.previous_fails = False
    assert watch.look() is False


def test_nothing_wrong_until_the_end_confirms_it(edge: Edge) -> None:
    edge.promoted()
    watch = edge.watch()
    watch.look()
    edge.now += 601
    assert watch.look() is False
    assert (edge.stored["phase"], edge.weights["green"]) == ("confirmed", 100)


def test_what_has_to_be_confirmed_and_is_not_is_withdrawn(edge: Edge) -> None:
    edge.promoted(must_confirm=True)
    watch = edge.watch()
    watch.look()
    edge.now += 601
    assert watch.look() is False
    assert (edge.stored["phase"], edge.weights["blue"]) == ("withdrawn", 100)


def test_it_follows_another_edge_that_has_gone_back(edge: Edge) -> None:
    edge.canary()
    watch = edge.watch()
    edge.peers.why = "edge-2 has gone back: server_errors"
    assert watch.look() is False
    assert (edge.stored["phase"], edge.stored["reason"]) == ("aborted", "edge-2 has gone back: server_errors")


def test_a_run_that_was_faster_is_not_overruled(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.canary()
    watch = edge.watch()
    watch.look()
    edge.answers("green", (100, BAD))
    judged = watch._judge

    def meanwhile() -> dict[str, Any]:
        edge.now += 1
        edge.carry_out(rollout_state.ended(edge.stored, "aborted", "by hand", "me"))
        return judged()

    monkeypatch.setattr(watch, "_judge", meanwhile)
    watch.look()
    assert edge.stored["reason"] == "by hand"


# --- the record ---


def test_a_first_release_has_nothing_to_go_back_to_and_no_watch(edge: Edge) -> None:
    edge.carry_out(rollout_state.promoted({}, {**BUNDLE, "previous": None}, 600, must_confirm=True))
    assert (edge.stored["phase"], edge.stored["must_confirm"]) == ("confirmed", False)


def test_promoting_twice_does_not_begin_the_watch_anew(edge: Edge) -> None:
    edge.promoted()
    before = edge.stored
    edge.now += 100
    assert rollout_state.promoted(before, BUNDLE, 600, must_confirm=False) == before


def test_a_run_that_was_overtaken_is_refused(edge: Edge) -> None:
    edge.canary()
    rollout_state.fenced(edge.stored, 7)
    with pytest.raises(rollout_state.RolloutError, match=r"^run 7 has taken over from this one \(6\)"):
        rollout_state.fenced(edge.stored, 6)


def test_what_has_gone_back_since_the_last_step_is_not_gone_on_with(edge: Edge) -> None:
    edge.canary()
    rollout_state.not_overruled(edge.stored, 7)
    edge.carry_out(rollout_state.ended(edge.stored, "aborted", "it was bad", "watch"))
    with pytest.raises(rollout_state.RolloutError, match="it has gone back by itself: it was bad"):
        rollout_state.not_overruled(edge.stored, 7)
    # Another run may try it again, and so may one that has first ended what was still under way.
    rollout_state.not_overruled(edge.stored, 8)
    edge.carry_out(rollout_state.ended(edge.stored, "aborted", "the next release comes", "ansible"))
    rollout_state.not_overruled(edge.stored, 7)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"token": "1", "phase": "canary"}'])
def test_what_is_no_record_is_not_taken_for_none(edge: Edge, text: str) -> None:
    edge.record.write_text(text)
    with pytest.raises(rollout_state.RolloutError, match="move it away"):
        rollout_state.read(edge.record)


# --- the log ---


def test_lines_come_once_also_over_a_renaming_and_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.write_text("old\n")
    log = Log(str(path))
    with path.open("a") as stream:
        stream.write("one\ntw")
    assert list(log.lines()) == [b"one"]
    with path.open("a") as stream:
        stream.write("o\nthree\n")
    path.rename(tmp_path / "access.jsonl.1")
    path.write_text("four\n")
    assert list(log.lines()) == [b"two", b"three", b"four"]
    assert list(log.lines()) == []


def test_a_log_that_comes_later(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "access.jsonl"))
    assert list(log.lines()) == []
    (tmp_path / "access.jsonl").write_text("one\n")
    assert list(log.lines()) == [b"one"]

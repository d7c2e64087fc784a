# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release fills and where a rollback leads, over any history of both."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import releases
from ansible_collections.techsaas.hardened.plugins.module_utils.releases import ReleaseError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

NOW = datetime.datetime(2026, 11, 24, 7, 0, 0, 123456, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(minutes=1)
FIRST = {"slot": "blue", "release": "one", "image": "api@sha256:1"}
SECOND = {"slot": "green", "release": "two", "image": "api@sha256:2"}
ONE = releases.promote({}, FIRST, NOW)
TWO = releases.promote(ONE, SECOND, LATER)
DAMAGED: list[Any] = [
    None,
    "text",
    [],
    {},
    {**TWO, "slot": "red"},
    {**TWO, "promoted_at": None},
    {k: TWO[k] for k in ("slot", "release", "image")},
]


def test_the_other_slot() -> None:
    assert [releases.other_slot(slot) for slot in ("blue", "green")] == ["green", "blue"]


# --- serving ---


def test_nothing_serves_before_the_first_release() -> None:
    assert releases.serving({}) == {}
    assert releases.serving({"a": {}, "b": {"slot-blue": FIRST}}) == {}


def test_the_latest_record_is_the_fleet_s() -> None:
    for hosts in ({"a": ONE, "b": TWO}, {"a": TWO, "b": ONE}):
        assert releases.serving({host: {"release": record} for host, record in hosts.items()}) == TWO
    assert releases.serving({"a": {}, "b": {"release": ONE}}) == ONE


@pytest.mark.parametrize("record", DAMAGED)
def test_a_damaged_record_is_not_taken_for_none(record: Any) -> None:
    with pytest.raises(
        ReleaseError, match=r"^a, c: .*release\.json is not a release record.*ansible HOST -m"
    ):
        releases.serving({"a": {"release": record}, "b": {"release": TWO}, "c": {"release": record}})


# --- plan ---


def plan(current: dict[str, Any], unchanged: list[bool], wanted: str = "", image: str = "new") -> Any:
    return releases.plan(current, unchanged, image, wanted, NOW)


def test_the_first_release_fills_blue() -> None:
    assert plan({}, []) == {"needed": True, "slot": "blue", "release": "20261124T070000Z", "image": "new"}


def test_nothing_is_needed_where_every_host_is_as_wanted() -> None:
    assert plan(TWO, [True, True], wanted="ignored") == {"needed": False, **SECOND}


@pytest.mark.parametrize("unchanged", [[False, False], [True, False], [False, True], []])
def test_one_host_that_differs_is_enough(unchanged: list[bool]) -> None:
    expected = {"needed": True, "slot": "blue", "release": "three", "image": "new"}
    assert plan(TWO, unchanged, wanted="three") == expected


def test_the_serving_release_s_name_cannot_be_used_again() -> None:
    with pytest.raises(ReleaseError) as caught:
        plan(TWO, [False], wanted="two")
    assert str(caught.value) == (
        "release two is serving, but not with this image and configuration; "
        "give the new one another name (-e release=NAME)"
    )


def test_a_failed_first_release_may_be_tried_again_under_its_name() -> None:
    assert plan({}, [], wanted="one") == plan({}, [], wanted="one")
    assert plan({}, [], wanted="one")["slot"] == "blue"


# --- rollback ---


def fleet(**slot_green: Any) -> dict[str, Any]:
    """Two hosts serving blue after green, each with what its green slot holds."""
    record = releases.promote(TWO, {**FIRST, "release": "three"}, LATER)
    return {
        host: {"release": record, **({"slot-green": held} if held else {})}
        for host, held in slot_green.items()
    }


def test_the_release_before_is_gone_back_to() -> None:
    hosts = fleet(a=SECOND, b=SECOND)
    for wanted in ("", "two"):
        assert releases.rollback(hosts, wanted) == {**SECOND, "restored": False}


def test_what_was_kept_is_gone_back_to_by_its_name_or_tag() -> None:
    hosts = fleet(a=SECOND, b=SECOND)
    old = {"release": "old", "image": "api@sha256:0", "tags": ["golden"]}
    kept = {"a": [old], "b": [old]}
    expected = {"slot": "green", "release": "old", "image": "api@sha256:0", "restored": True}
    for wanted in ("old", "golden"):
        assert releases.rollback(hosts, wanted, {}, kept) == expected
    # On one host it waits in the slot, on the other it was kept: the same everywhere.
    mixed = {
        "a": [{**old, "release": "two", "image": SECOND["image"]}],
        "b": [{**old, "release": "two", "image": SECOND["image"]}],
    }
    assert releases.rollback(fleet(a=SECOND, b=None), "", {}, mixed)["restored"] is True


def test_a_release_made_with_a_secret_that_has_ended_is_refused() -> None:
    made_with = dict(
        zip(
            ("app_secret_key", "postgres_app_password", "unknown"),
            ("hmac:1", "hmac:2", "hmac:3"),
            strict=True,
        )
    )
    one = {"release": "old", "image": "x", "tags": [], "secrets": made_with}
    hosts, kept = fleet(a=SECOND, b=SECOND), {"a": [one], "b": [one]}
    overlap = {"app_secret_key": ["hmac:9", "hmac:1"], "postgres_app_password": ["hmac:2"], "unknown": []}
    assert releases.rollback(hosts, "old", {}, kept, overlap)["release"] == "old"
    assert releases.rollback(hosts, "old", {}, kept)["release"] == "old"
    with pytest.raises(releases.ReleaseError, match="with a value of app_secret_key that has ended since"):
        releases.rollback(hosts, "old", {}, kept, {**overlap, "app_secret_key": ["hmac:9"]})


def test_what_only_some_hosts_have_kept_is_refused_and_what_all_have_is_named() -> None:
    everywhere = {"release": "old", "image": "x", "tags": []}
    kept = {"a": [everywhere, {"release": "older", "image": "y", "tags": []}], "b": [everywhere]}
    with pytest.raises(ReleaseError) as caught:
        releases.rollback(fleet(a=SECOND, b=SECOND), "older", {}, kept)
    assert str(caught.value) == (
        "b: slot green holds release two, not release older, which was not kept either. Kept on every host: old"
    )


# --- what the edges know better ---

EDGE = {"token": 9, "since": 0, "phase": "watch", "previous": FIRST, "weight": 100, "reason": "", **SECOND}


def test_a_promotion_that_was_not_recorded_is_known_by_the_edges() -> None:
    hosts = {"a": {"release": {**ONE, "token": 8}}}
    assert releases.serving(hosts, {"e": EDGE})["release"] == "two"
    assert releases.serving(hosts, {"e": {**EDGE, "phase": "canary"}})["release"] == "one"
    assert releases.serving(hosts, {"e": {**EDGE, "token": 7}})["release"] == "one"
    assert releases.serving(hosts, {"e": {}, "f": {**EDGE, "phase": "aborted"}})["release"] == "one"


def test_one_edge_that_has_gone_back_decides_for_all() -> None:
    hosts = {"a": {"release": {**TWO, "token": 9}}}
    gone = {**EDGE, "phase": "withdrawn", "ended": 100.0, "reason": "it failed"}
    now = releases.serving(hosts, {"e": EDGE, "f": gone})
    assert (now["release"], now["previous"]["release"], now["previous"]["withdrawn"]) == (
        "one",
        "two",
        "it failed",
    )
    with pytest.raises(
        ReleaseError, match=r"release two before it was withdrawn \(it failed\); -e release=two"
    ):
        releases.rollback(hosts, "", {"e": gone})
    # It was never recorded, and is gone again.
    assert releases.serving({"a": {"release": {**ONE, "token": 8}}}, {"e": gone})["release"] == "one"


def test_a_canary_stands_in_the_way_of_a_rollback() -> None:
    with pytest.raises(ReleaseError, match="release two is a canary with 10 %"):
        releases.rollback(fleet(a=SECOND), "", {"e": {**EDGE, "phase": "canary", "weight": 10}})


def test_what_is_under_way() -> None:
    hosts = {"a": {"release": ONE}}
    found = releases.under_way(hosts, {"e": {**EDGE, "phase": "canary"}, "f": {}})
    assert found == {"needed": True, "phase": "canary", "previous": FIRST, **SECOND}
    assert releases.under_way(hosts, {"e": EDGE})["phase"] == "watch"
    with pytest.raises(ReleaseError, match="no release is under way, release one serves; e: two was aborted"):
        releases.under_way(hosts, {"e": {**EDGE, "phase": "aborted", "reason": "it was bad"}})


def test_history_is_told_the_latest_first() -> None:
    old = {"release": "old", "image": "x", "tags": ["golden"]}
    lines = releases.history({"a": {"release": TWO}, "b": {"release": TWO}}, {"a": [old], "b": []})
    assert lines == [
        "two: serves, since 2026-11-24T07:01:00Z, api@sha256:2, not kept",
        "one: served, since 2026-11-24T07:00:00Z, api@sha256:1, not kept",
        "old: never served, or long ago, x, kept on a only, tag golden",
    ]
    assert releases.history({"a": {}}, {"a": []}) == ["No release has been made."]


# --- the rollback floor ---

THIRD = {"slot": "blue", "release": "three", "image": "api@sha256:3"}
SERVES = {**TWO, "token": 9}
CONTRACTED = releases.floored(SERVES, "two", LATER)
FLOOR = {"release": "two", "raised_at": "2026-11-24T07:01:00.123456Z"}


def at(name: str, when: datetime.datetime, *tags: str) -> dict[str, Any]:
    return {"release": name, "image": f"api:{name}", "tags": list(tags), "kept_at": when.timestamp()}


def test_a_contract_raises_the_floor_to_what_serves() -> None:
    assert CONTRACTED == {**SERVES, "floor": FLOOR}
    later = LATER + datetime.timedelta(days=1)
    assert releases.floored(CONTRACTED, "two", later) == CONTRACTED
    third = releases.promote(CONTRACTED, THIRD, later)
    assert third["floor"] == FLOOR
    assert releases.floored(third, "three", later)["floor"]["release"] == "three"
    for record, serves in ((TWO, "release two serves"), ({}, "nothing was released")):
        with pytest.raises(ReleaseError, match=f"{serves} here, not one"):
            releases.floored(record, "one", LATER)


def test_the_latest_floor_of_all_hosts_holds() -> None:
    old = {**TWO, "floor": {"release": "one", "raised_at": "2026-11-23T00:00:00.000000Z"}}
    newer = releases.promote(TWO, THIRD, LATER + datetime.timedelta(hours=1))
    hosts = {"a": {"release": CONTRACTED}, "b": {"release": newer}, "c": {"release": old}}
    assert releases.serving(hosts) == {**newer, "floor": FLOOR}


def test_nobody_goes_behind_the_floor() -> None:
    before, after = NOW, LATER + datetime.timedelta(hours=1)
    hosts = {"a": {"release": CONTRACTED, "slot-blue": FIRST}}
    kept = {"a": [at("one", before), at("old", before, "golden"), at("new", after)]}
    for wanted, name in (
        ("", "one"),
        ("one", "one"),
        ("old", "old"),
        ("golden", "old"),
        ("unknown", "unknown"),
    ):
        with pytest.raises(ReleaseError) as caught:
            releases.rollback(hosts, wanted, {}, kept)
        assert str(caught.value) == (
            f"release {name} is behind the rollback floor: the contract of release two (2026-11-24T07:01:00Z) has taken from the "
            "database what only releases before it need. The oldest that is safe is two, which serves. An image that can work with "
            "the database as it is can be deployed as a new release: deploy.yml -e image=..."
        )
    # What was filled after the contract works with what it has left.
    assert releases.rollback(hosts, "new", {}, kept)["release"] == "new"


def test_the_release_at_the_floor_and_those_since_are_gone_back_to() -> None:
    later = LATER + datetime.timedelta(hours=1)
    third = releases.promote(CONTRACTED, THIRD, later)
    hosts = {"a": {"release": third, "slot-green": SECOND}}
    assert releases.rollback(hosts, "")["release"] == "two"
    with pytest.raises(ReleaseError, match=r"The oldest that is safe is two. An image"):
        releases.rollback(hosts, "one")
    back = releases.promote(third, SECOND, later + datetime.timedelta(hours=1))
    assert releases.rollback({"a": {"release": back, "slot-blue": THIRD}}, "")["release"] == "three"


def test_what_is_offered_instead_is_not_behind_the_floor() -> None:
    later = LATER + datetime.timedelta(hours=1)
    third = releases.promote(CONTRACTED, THIRD, later)
    kept = {"a": [at("one", NOW), at("four", later)], "b": [at("one", NOW), at("four", later)]}
    with pytest.raises(ReleaseError, match=r"Kept on every host: four$"):
        releases.rollback({"a": {"release": third}, "b": {"release": third}}, "two", {}, kept)


def test_history_shows_what_is_behind_the_floor() -> None:
    kept = [at("one", NOW), at("older", NOW), at("four", LATER + datetime.timedelta(hours=1))]
    assert releases.history({"a": {"release": CONTRACTED}}, {"a": kept}) == [
        "two: serves, since 2026-11-24T07:01:00Z, api@sha256:2, the oldest that may be gone back to, not kept",
        "one: served, since 2026-11-24T07:00:00Z, api@sha256:1, behind the rollback floor, kept",
        "older: never served, or long ago, api:older, behind the rollback floor, kept",
        "four: never served, or long ago, api:four, kept",
    ]


# --- what follows a release ---

SERVING = {"a": {"release": SERVES, "slot-green": SECOND}, "b": {"release": SERVES, "slot-green": SECOND}}
CONFIRMED = {**EDGE, "phase": "confirmed"}
GREEN = {"blue": 0, "green": 100, "unassigned": 0}


def test_the_image_that_serves_migrates() -> None:
    for phase in releases.PHASES:
        assert releases.migration(SERVING, {"e": CONFIRMED, "f": {}}, {"e": GREEN, "f": {}}, phase) == SECOND


@pytest.mark.parametrize(
    ("hosts", "edge", "links", "words"),
    [
        pytest.param(
            SERVING,
            {**EDGE, "release": "three", "slot": "blue", "phase": "canary", "weight": 10},
            GREEN,
            "e: release three is a canary with 10 % of the requests (promote.yml or abort.yml ends it)",
            id="canary",
        ),
        pytest.param(
            SERVING,
            EDGE,
            GREEN,
            "e: release two is watched, and may be taken back to one (promote.yml confirms it)",
            id="watch",
        ),
        pytest.param(
            SERVING,
            {**CONFIRMED, "release": "one", "token": 8},
            GREEN,
            "e: serves release one, and not two (deploy.yml)",
            id="another-release",
        ),
        pytest.param(
            SERVING,
            {**CONFIRMED, "release": "three", "phase": "aborted", "token": 8},
            GREEN,
            "e: serves release one, and not two (deploy.yml)",
            id="aborted-to-another",
        ),
        pytest.param(
            SERVING,
            CONFIRMED,
            {"blue": 3, "green": 90, "unassigned": 7},
            "e: not all links lead to slot green: 3 to blue, 7 to unassigned (deploy.yml)",
            id="links",
        ),
        pytest.param(
            {**SERVING, "b": {"release": ONE}},
            CONFIRMED,
            GREEN,
            "b: has release one on record, not two (deploy.yml); "
            "b: slot green holds nothing, not release two (deploy.yml)",
            id="host",
        ),
    ],
)
def test_a_contract_waits_until_nobody_can_go_back(
    hosts: dict[str, Any], edge: dict[str, Any], links: dict[str, int], words: str
) -> None:
    with pytest.raises(ReleaseError) as caught:
        releases.migration(hosts, {"e": edge}, {"e": links}, "contract")
    assert str(caught.value) == f"no contract now: {words}"
    if edge["phase"] != "canary":
        assert releases.migration(hosts, {"e": edge}, {"e": links}, "backfill") == SECOND


def test_nothing_is_filled_beside_a_canary_or_before_the_first_release() -> None:
    edge = {**EDGE, "phase": "canary", "weight": 10}
    with pytest.raises(ReleaseError, match=r"^no backfill now: e: release two is a canary with 10 %"):
        releases.migration(SERVING, {"e": edge}, {}, "backfill")
    with pytest.raises(ReleaseError, match="nothing was released here yet"):
        releases.migration({"a": {}}, {}, {}, "backfill")


NOT_KEPT = ", which was not kept either"
ADVICE = ". Deploy the image that you want instead: deploy.yml -e image=..."


@pytest.mark.parametrize(
    ("hosts", "wanted", "message"),
    [
        pytest.param(
            {"a": {}},
            "",
            "nothing was released here yet, so there is nothing to go back to; run deploy.yml",
            id="none",
        ),
        pytest.param(
            {"a": {"release": ONE}},
            "",
            f"release one is the first one; there is none before it{ADVICE}",
            id="first",
        ),
        pytest.param(
            fleet(a=SECOND, b=SECOND),
            "three",
            f"release three is serving already{ADVICE}",
            id="serving",
        ),
        pytest.param(
            fleet(a=SECOND, b={**SECOND, "release": "four"}),
            "",
            f"b: slot green holds release four, not release two{NOT_KEPT}{ADVICE}",
            id="hosts-disagree",
        ),
        pytest.param(
            fleet(a=None, b=SECOND),
            "",
            f"a: slot green holds nothing, not release two{NOT_KEPT}{ADVICE}",
            id="nothing",
        ),
        pytest.param(
            fleet(a=SECOND, b=SECOND),
            "one",
            f"a: slot green holds release two, not release one{NOT_KEPT}; "
            f"b: slot green holds release two, not release one{NOT_KEPT}{ADVICE}",
            id="too-old",
        ),
    ],
)
def test_a_rollback_that_cannot_be_says_why(hosts: dict[str, Any], wanted: str, message: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        releases.rollback(hosts, wanted)
    assert str(caught.value) == message


def test_hosts_that_hold_one_name_with_two_images_are_refused() -> None:
    other = {**SECOND, "image": "api@sha256:f00"}
    with pytest.raises(ReleaseError, match=r"slot green holds release two as api@sha256:2 on a, .*f00 on b"):
        releases.rollback(fleet(a=SECOND, b=other), "")


# --- promote ---


def test_the_record() -> None:
    assert ONE == {**FIRST, "promoted_at": "2026-11-24T07:00:00.123456Z", "previous": None, "history": []}
    before = {**FIRST, "promoted_at": "2026-11-24T07:00:00.123456Z"}
    after = {**SECOND, "promoted_at": "2026-11-24T07:01:00.123456Z"}
    assert releases.promote(ONE, SECOND, LATER) == {**after, "previous": before, "history": [before]}
    assert releases.is_record(TWO)


def test_the_last_five_are_remembered_the_latest_first() -> None:
    record: dict[str, Any] = {}
    for number in range(8):
        record = releases.promote(
            record, {**FIRST, "release": str(number)}, NOW + datetime.timedelta(days=number)
        )
    assert [entry["release"] for entry in record["history"]] == ["6", "5", "4", "3", "2"]


def test_the_same_again_changes_nothing() -> None:
    assert releases.promote(TWO, {**SECOND, "needed": True}, LATER + datetime.timedelta(days=1)) == TWO


@pytest.mark.parametrize("field", ["slot", "release", "image"])
def test_each_part_of_the_bundle_makes_it_another(field: str) -> None:
    other = {"slot": "blue", "release": "x", "image": "y"}[field]
    assert releases.promote(TWO, {**SECOND, field: other}, LATER)[field] == other


# --- any history ---


class Fleet(RuleBasedStateMachine):
    """Two hosts through releases that succeed, fail on one of them, or are missed by one; and rollbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.hosts: dict[str, dict[str, Any]] = {"a": {}, "b": {}}
        self.served: list[dict[str, Any]] = []
        self.names = 0
        # What must not, and what need not, be gone back to after a contract.
        self.behind: set[str] = set()
        self.doubtful: set[str] = set()

    def _record(self, target: dict[str, Any], hosts: list[str]) -> None:
        for host in hosts:
            # Each host has a clock of its own, a little after the controller's.
            self.now += datetime.timedelta(microseconds=7)
            self.hosts[host]["release"] = releases.promote(
                self.hosts[host].get("release", {}), target, self.now
            )
        if not self.served or self.served[-1] != target:
            self.served.append(target)

    @rule(image=st.sampled_from("xyz"), fails=st.sampled_from(["", "", "a", "b"]), misses=st.booleans())
    def release(self, image: str, fails: str, misses: bool) -> None:
        self.now += datetime.timedelta(minutes=1)
        self.names += 1
        current = releases.serving(self.hosts)
        serving_before = [host.get(f"slot-{current.get('slot')}") for host in self.hosts.values()]
        planned = releases.plan(current, [False, True], image, f"r{self.names}", self.now)
        assert planned["needed"]
        bundle = {key: planned[key] for key in ("slot", "release", "image")}
        for host in self.hosts:
            if host != fails:
                self.hosts[host][f"slot-{bundle['slot']}"] = bundle
        if current:
            assert [host.get(f"slot-{current['slot']}") for host in self.hosts.values()] == serving_before, (
                "what serves is touched"
            )
        if not fails:
            self._record(bundle, ["a"] if misses else ["a", "b"])

    @precondition(lambda self: self.served)
    @rule(wanted=st.sampled_from(["", "last"]))
    def rollback(self, wanted: str) -> None:
        self.now += datetime.timedelta(minutes=1)
        current = releases.serving(self.hosts)
        idle = releases.other_slot(current["slot"])
        held = [host.get(f"slot-{idle}") for host in self.hosts.values()]
        name = current["previous"]["release"] if wanted and current["previous"] else ""
        try:
            target = releases.rollback(self.hosts, name)
        except ReleaseError as error:
            assert (
                not current["previous"]
                or current["previous"]["release"] in self.behind | self.doubtful
                or any(
                    bundle is None or bundle["release"] != current["previous"]["release"] for bundle in held
                )
            ), f"refused without need: {error}"
            return
        assert target["release"] not in self.behind, "gone back behind a contract"
        bundle = {key: target[key] for key in ("slot", "release", "image")}
        assert held == [bundle, bundle]
        self._record(bundle, ["a", "b"])

    @precondition(lambda self: self.served)
    @rule()
    def contract(self) -> None:
        self.now += datetime.timedelta(minutes=1)
        try:
            target = releases.migration(self.hosts, {}, {}, "contract")
        except ReleaseError:
            return
        # A later release, from which somebody went back before the contract, may know the schema, and nobody can say.
        serves = int(target["release"][1:])
        self.behind |= {f"r{number}" for number in range(serves)}
        self.doubtful |= {f"r{number}" for number in range(serves + 1, self.names + 1)}
        for host in self.hosts.values():
            self.now += datetime.timedelta(microseconds=7)
            host["release"] = releases.floored(host["release"], target["release"], self.now)

    @invariant()
    def the_fleet_serves_what_was_last_recorded(self) -> None:
        current = releases.serving(self.hosts)
        if not self.served:
            assert current == {}
            return
        assert {key: current[key] for key in self.served[-1]} == self.served[-1]

    @invariant()
    def every_host_holds_what_serves(self) -> None:
        current = releases.serving(self.hosts)
        for host in self.hosts.values() if current else ():
            held = host[f"slot-{current['slot']}"]
            assert held == {key: current[key] for key in held}

    @invariant()
    def history_is_whole_and_short(self) -> None:
        for host in self.hosts.values():
            record = host.get("release")
            if not record:
                continue
            history = record["history"]
            assert len(history) <= releases.HISTORY
            assert record["previous"] == (history[0] if history else None)
            times = [record["promoted_at"], *(entry["promoted_at"] for entry in history)]
            assert times == sorted(times, reverse=True)
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text) for text in times)


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=60, stateful_step_count=20)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters around the decisions: facts in, Ansible's errors out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.releases import FilterModule

FILTERS = FilterModule().filters()
RECORD: dict[str, Any] = {
    "slot": "blue",
    "release": "one",
    "image": "api@sha256:1",
    "promoted_at": "2026-11-24T07:00:00.000000Z",
    "previous": None,
    "history": [],
}


def host(name: str, records: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    return {
        "inventory_hostname": name,
        "ansible_facts": {"hardened_host": {"records": records or {}, **facts}},
    }


def test_serving_is_found_in_the_facts() -> None:
    assert FILTERS["release_serving"]([host("a"), host("b", {"release": RECORD})]) == RECORD


def test_a_host_that_nobody_looked_at_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^b: nothing is known about it, run .*host_info first"):
        FILTERS["release_serving"]([host("a"), {"inventory_hostname": "b"}])


def test_a_record_that_cannot_be_read_is_not_taken_for_none() -> None:
    hosts = [host("a", records_unreadable={"release": "not JSON at line 1, column 1"}), host("b")]
    with pytest.raises(AnsibleFilterError, match=r"^a: .*is not a release record"):
        FILTERS["release_serving"](hosts)
    with pytest.raises(AnsibleFilterError, match=r"^a: .*is not a release record"):
        FILTERS["release_rollback"]({entry["inventory_hostname"]: entry for entry in hosts})


def test_other_unreadable_records_do_not_matter() -> None:
    hosts = [host("a", {"release": RECORD}, records_unreadable={"maintenance": "not JSON"})]
    assert FILTERS["release_serving"](hosts) == RECORD


@pytest.mark.parametrize(
    ("comparison", "needed"),
    [
        ({"changed": False}, False),
        ({"changed": True}, True),
        ({"changed": False, "failed": True}, True),
        ({}, True),
    ],
)
def test_only_a_comparison_without_a_change_counts(comparison: dict[str, Any], needed: bool) -> None:
    plan = FILTERS["release_plan"](RECORD, [{"changed": False}, comparison], "new", "two")
    assert plan["needed"] is needed
    assert plan["slot"] == ("green" if needed else "blue")


def test_a_release_without_a_name_gets_the_time() -> None:
    name = FILTERS["release_plan"]({}, [], "new")["release"]
    assert len(name) == len("20261124T070000Z")
    assert name.startswith("20")


def test_a_name_that_serves_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^release one is serving, but not with this image"):
        FILTERS["release_plan"](RECORD, [{"changed": True}], "new", "one")


def test_rollback() -> None:
    record = {**RECORD, "slot": "green", "release": "two", "previous": RECORD}
    bundle = {key: RECORD[key] for key in ("slot", "release", "image")}
    assert FILTERS["release_rollback"]({"a": host("a", {"release": record, "slot-blue": bundle})}) == {
        **bundle,
        "restored": False,
    }
    with pytest.raises(AnsibleFilterError, match=r"^a: slot blue holds nothing, not release one"):
        FILTERS["release_rollback"]({"a": host("a", {"release": record})})


def test_whose_image_migrates() -> None:
    bundle = {key: RECORD[key] for key in ("slot", "release", "image")}
    hosts = [host("a", {"release": RECORD, "slot-blue": bundle})]
    links = {"blue": 100, "green": 0, "unassigned": 0}
    assert FILTERS["release_migration"](hosts, {"e": {"weights": links}, "f": {}}, "contract") == bundle
    with pytest.raises(
        AnsibleFilterError, match=r"^no contract now: e: not all links lead to slot blue: 1 to green"
    ):
        FILTERS["release_migration"](hosts, {"e": {"weights": {**links, "green": 1}}}, "contract")

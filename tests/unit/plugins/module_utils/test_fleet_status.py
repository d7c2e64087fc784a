# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's page: what is usual, and each thing that is not."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.filter.fleet_status import fleet_status
from ansible_collections.techsaas.hardened.plugins.module_utils.fleet_status import Page

NOW = datetime.datetime(2026, 11, 29, 12, 0, tzinfo=datetime.UTC)
RELEASE = {"release": "r2", "slot": "blue", "image": "registry/api@sha256:1", "previous": {"release": "r1"}}


def host(**more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "records": {},
        "records_unreadable": {},
        "units_failed": [],
        "timers": [],
        "certificates": {"/etc/hardened/pki/host.crt": "2027-01-01T00:00:00Z"},
        "reboot_required": False,
        "disk_used": {"/": 40},
        "sets_changed": [],
    }
    return {**usual, **more}


def page(hosts: dict[str, dict[str, Any] | None], secrets: list[dict[str, Any]] | None = None) -> Page:
    return Page(hosts, {name: ["app"] for name in hosts}, NOW, list(secrets or []))


def test_a_fleet_without_problems() -> None:
    edge = {"weights": {"blue": 100, "green": 0, "unassigned": 0}, "maintenance": {}, "revoked": {}}
    found = page({"app-1": host(records={"release": RELEASE}), "edge-1": host(edge=edge)})
    assert found.problems == [] and found.lines[-1] == "No problems."
    assert "Release r2 in slot blue on app-1: registry/api@sha256:1" in found.lines
    assert "  serves blue 100 %" in found.lines
    assert "  certificate /etc/hardened/pki/host.crt until 2027-01-01T00:00:00Z (32 days)" in found.lines


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"units_failed": ["nginx.service"]}, "unit nginx.service has failed"),
        ({"records_unreadable": {"release": "not JSON"}}, "record release cannot be read: not JSON"),
        ({"sets_changed": ["firewall"]}, "configuration firewall is not as the last run has left it"),
        ({"certificates": {"/c": "2026-12-01T00:00:00Z"}}, "certificate /c ends in 1 days"),
        ({"disk_used": {"/var": 91}}, "file system /var is 91 % full"),
        (
            {"records": {"backup": {"stopped": "2026-11-27T11:59:00+00:00"}}},
            "the latest backup is of 2026-11-27",
        ),
        ({"alerts_waiting": {"e-mail": 3}}, "3 alerts wait for e-mail"),
        ({"hosts_silent": ["db-1"]}, "nothing comes from db-1"),
    ],
)
def test_what_is_wrong_is_named_with_its_host(wrong: dict[str, Any], words: str) -> None:
    found = page({"app-1": host(), "app-2": host(**wrong)})
    assert len(found.problems) == 1 and found.problems[0].startswith(f"app-2: {words}")


def test_a_host_that_does_not_answer_is_a_problem() -> None:
    assert page({"app-1": None}).problems == ["app-1: did not answer"]


def test_hosts_that_serve_different_releases_are_a_problem() -> None:
    old = {**RELEASE, "release": "r1"}
    hosts: dict[str, dict[str, Any] | None] = {
        "app-1": host(records={"release": RELEASE}),
        "app-2": host(records={"release": old}),
    }
    assert page(hosts).problems == ["fleet: its hosts do not serve the same release"]


def test_what_is_out_of_the_ordinary_is_told_and_no_problem() -> None:
    until = NOW.timestamp() + 60
    blocks = [
        {"address": f"203.0.113.{n}", "until": until, "by": "me", "reason": "guesses"} for n in range(12)
    ]
    blocks.append({"address": "203.0.113.99", "until": NOW.timestamp() - 1, "by": "me", "reason": "over"})
    records = {
        "blocklist": {"blocks": blocks},
        "incident": {"case": "c1", "until": until, "reason": "logins"},
    }
    closed = {"since": "2026-11-29T11:00:00Z", "reason": "moving"}
    edge = {
        "weights": {"blue": 95, "green": 5, "unassigned": 0},
        "maintenance": closed,
        "revoked": {"id-k": {"reason": "found"}},
    }
    found = page({"edge-1": host(records=records, edge=edge)})
    text = "\n".join(found.lines)
    for words in (
        "serves blue 95 %, green 5 %",
        "closed since 2026-11-29T11:00:00Z: moving",
        "revoked id-k since ?: found",
        "blocked 203.0.113.9 until 2026-11-29T12:01:00Z, by me: guesses",
        "blocked 2 more",
        "incident c1 until 2026-11-29T12:01:00Z: logins",
    ):
        assert words in text
    assert "203.0.113.99" not in text and found.problems == []


def test_secrets_that_are_due_are_told_and_those_over_it_are_problems() -> None:
    secrets = [
        {"name": "a", "class": "database", "status": "OK", "due_in_days": 50},
        {"name": "b", "class": "database", "status": "DUE", "due_in_days": 3},
        {"name": "c", "class": "admin_api_key", "status": "OVERDUE", "due_in_days": -2},
    ]
    found = page({"app-1": host()}, secrets)
    assert "  b (database): DUE, due in 3 days" in found.lines
    assert found.problems == ["secret c (admin_api_key): OVERDUE, due in -2 days"]


def test_the_filter_knows_hosts_that_did_not_answer_and_groups() -> None:
    made = fleet_status(
        {"app-1": {"unreachable": True}, "db-1": {"status": host()}}, {"app": ["app-1"], "database": ["db-1"]}
    )
    assert "db-1 (database)" in made["lines"] and made["problems"] == ["app-1: did not answer"]

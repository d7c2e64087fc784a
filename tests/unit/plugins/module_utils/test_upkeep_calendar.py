# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar: single judgements, and a whole year by a clock that the test moves."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import upkeep_calendar as calendar

START = datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
GROUPS = {"edge-1": ["edge"], "db-1": ["database"]}


def fleet() -> dict[str, dict[str, Any]]:
    return {host: {"upkeep": calendar.started({}, START), "days": {}, "drill": {}} for host in GROUPS}


def statuses(hosts: dict[str, dict[str, Any]], now: datetime.datetime) -> dict[str, str]:
    return {entry.task: entry.status for entry in calendar.entries(hosts, GROUPS, now)}


def test_what_was_never_done_is_due_one_period_after_the_beginning() -> None:
    hosts = fleet()
    assert set(statuses(hosts, START).values()) == {"OK"}
    (scan,) = [entry for entry in calendar.entries(hosts, GROUPS, START + 7 * DAY) if entry.task == "scan"]
    assert (scan.last, scan.status, scan.hosts) == (None, "DUE", ("db-1", "edge-1"))
    assert scan.words == "scan: last never, next 2026-01-08, DUE (db-1, edge-1)"


def test_a_host_that_was_left_out_holds_it_up() -> None:
    hosts = fleet()
    hosts["edge-1"]["upkeep"] = calendar.noted(hosts["edge-1"]["upkeep"], "patch", "ok", "", START + 30 * DAY)
    (patch,) = [entry for entry in calendar.entries(hosts, GROUPS, START + 40 * DAY) if entry.task == "patch"]
    assert (patch.status, patch.hosts) == ("OVERDUE", ("db-1",))


def test_what_failed_is_due_and_does_not_count_as_done() -> None:
    hosts = fleet()
    for host in hosts:
        hosts[host]["upkeep"] = calendar.noted(hosts[host]["upkeep"], "patch", "ok", "", START + 10 * DAY)
    failed = START + 12 * DAY
    hosts["db-1"]["upkeep"] = calendar.noted(hosts["db-1"]["upkeep"], "patch", "failed", "why", failed)
    (patch,) = [entry for entry in calendar.entries(hosts, GROUPS, failed) if entry.task == "patch"]
    assert (patch.status, patch.result, patch.hosts) == ("DUE", "failed", ("db-1",))
    assert patch.next == START + 41 * DAY


@pytest.mark.parametrize(
    ("days", "status"), [(0, "OK"), (22, "OK"), (24, "SOON"), (31, "DUE"), (31.9, "DUE"), (32.1, "OVERDUE")]
)
def test_the_words_for_how_late_it_is(days: float, status: str) -> None:
    assert statuses(fleet(), START + days * DAY)["patch"] == status


def test_a_task_is_taken_out_of_the_calendar_by_no_days() -> None:
    hosts = fleet()
    for said in hosts.values():
        said["days"] = {"pentest": 0}
    assert "pentest" not in statuses(hosts, START)


def test_hosts_under_no_calendar_have_no_tasks() -> None:
    assert calendar.entries({"edge-1": {"upkeep": {}, "days": {}, "drill": {}}}, GROUPS, START) == []


def test_a_drill_counts_by_its_own_record() -> None:
    hosts = fleet()
    hosts["db-1"]["drill"] = {"at": "2026-12-01T00:00:00+00:00", "failures": []}
    late = START + 400 * DAY
    assert statuses(hosts, late)["drill"] == "OK"
    hosts["db-1"]["drill"]["failures"] = ["too late"]
    assert statuses(hosts, late)["drill"] == "OVERDUE"


def test_a_year_in_which_everything_is_done_when_it_is_due() -> None:
    hosts = fleet()
    done: dict[str, list[int]] = {task: [] for task in calendar.TASKS}
    for day in range(1, 367):
        now = START + day * DAY
        for task, status in statuses(hosts, now).items():
            assert status != "OVERDUE"
            if status == "DUE":
                done[task].append(day)
                if task == "drill":
                    hosts["db-1"]["drill"] = {"at": now.isoformat(), "failures": []}
                    continue
                for said in hosts.values():
                    said["upkeep"] = calendar.noted(said["upkeep"], task, "ok", "", now)
    assert done["scan"] == list(range(7, 367, 7))
    assert done["patch"] == [31 * number for number in range(1, 12)]
    assert done["pentest"] == [92, 184, 276]
    assert done["review"] == [183, 366]
    assert done["drill"] == [366]


def test_a_year_in_which_nobody_does_anything() -> None:
    hosts = fleet()
    overdue = {
        month: sorted(
            task for task, status in statuses(hosts, START + 30 * month * DAY).items() if status == "OVERDUE"
        )
        for month in range(1, 14)
    }
    assert overdue[1] == ["scan"]
    assert overdue[2] == overdue[3] == ["patch", "scan"]
    assert overdue[4] == overdue[6] == ["patch", "pentest", "scan"]
    assert overdue[7] == overdue[12] == ["patch", "pentest", "review", "scan"]
    assert overdue[13] == ["drill", "patch", "pentest", "review", "scan"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host's upkeep: begun once, kept, and only what went well counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("upkeep_record", tmp_path / "hardened" / "upkeep.json")


def test_a_host_comes_under_the_calendar_once(host: Host) -> None:
    assert host.call()["changed"] and not host.call()["changed"]
    assert host.stored["tasks"] == {} and [line["event"] for line in host.audit] == ["upkeep_begun"]


def test_what_failed_is_noted_and_does_not_count(host: Host) -> None:
    done = host.call(task="patch", detail="2 packages")["record"]
    failed = host.call(task="patch", result="failed", detail="why")["record"]["tasks"]["patch"]
    assert (failed["result"], failed["detail"]) == ("failed", "why")
    assert failed["done"] == done["tasks"]["patch"]["done"]
    assert [line.get("result") for line in host.audit] == ["ok", "failed"]


def test_a_plan_writes_nothing(host: Host) -> None:
    assert host.call(check=True, task="scan")["changed"]
    assert not host.path.exists() and host.audit == []


def test_a_record_that_is_none_is_left_alone(host: Host) -> None:
    host.path.parent.mkdir()
    host.path.write_text("nonsense")
    answer = host.call(task="scan")
    assert answer["failed"] and "is no record" in answer["msg"]
    assert host.path.read_text() == "nonsense"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that closes the edge: written, planned, kept, removed, and each change on record."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("edge_maintenance", tmp_path / "edge" / "maintenance.json")


def test_closed_and_opened(host: Host) -> None:
    assert not host.call(enabled=False)["changed"]
    closed = host.call(enabled=True, reason="moving")
    assert closed["changed"] and host.stored == closed["record"]
    assert closed["record"]["reason"] == "moving"
    again = host.call(enabled=True)
    assert not again["changed"] and again["record"] == closed["record"]
    assert host.call(enabled=True, reason="still moving")["record"]["since"] == closed["record"]["since"]
    opened = host.call(enabled=False)
    assert opened["changed"] and not host.path.exists()
    assert [line["event"] for line in host.audit] == ["maintenance_on", "maintenance_on", "maintenance_off"]


def test_a_plan_changes_nothing(host: Host) -> None:
    planned = host.call(check=True, enabled=True, reason="moving")
    assert planned["changed"] and "moving" in planned["diff"]["after"]
    assert not host.path.exists() and [line["event"] for line in host.audit] == []


@pytest.mark.parametrize("content", ["", "{}", "nonsense", "[]"])
def test_a_file_that_closes_is_seen_whatever_it_holds(host: Host, content: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(content)
    assert host.call(enabled=False)["changed"]
    assert not host.path.exists()

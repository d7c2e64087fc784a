# SPDX-License-Identifier: GPL-3.0-or-later
"""The service is closed and opened by a verb, while what watches it sees that it lives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from labkit.client import Client


@pytest.fixture(scope="module")
def closed(client: Client) -> Iterator[Any]:
    done = client.playbook("maintenance.yml", "-e", "state=on", "-e", 'reason="the database moves"')
    yield done
    client.playbook("maintenance.yml", "-e", "state=off")


def test_requests_are_told_when_to_come_back(client: Client, closed: Any) -> None:
    assert closed.returncode == 0, closed.stdout
    answer = client.request("GET", "/v1/items")
    assert (answer.status, answer.json["error"]["code"]) == (503, "maintenance")
    assert answer.headers["retry-after"] == "300"
    assert answer.headers["x-frame-options"] == "DENY"


def test_health_checks_are_answered(client: Client, closed: Any) -> None:
    assert [client.request("GET", path).status for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_second_time_changes_nothing(client: Client, closed: Any) -> None:
    again = client.playbook("maintenance.yml", "-e", "state=on")
    assert again.returncode == 0 and "changed=1" not in again.stdout, again.stdout


def test_it_opens_again(client: Client, closed: Any) -> None:
    planned = client.playbook("maintenance.yml", "-e", "state=off", "--check", "--diff")
    assert "changed=1" in planned.stdout and "the database moves" in planned.stdout, planned.stdout
    assert client.request("GET", "/v1/items").status == 503
    opened = client.playbook("maintenance.yml", "-e", "state=off")
    assert "changed=1" in opened.stdout, opened.stdout
    assert client.request("GET", "/v1/items").status == 401


def test_what_is_wanted_has_to_be_said(client: Client) -> None:
    done = client.playbook("maintenance.yml")
    assert done.returncode != 0 and "Say -e state=on" in done.stdout

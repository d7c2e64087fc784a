# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from labkit.client import Client
from labkit.fleet import Fleet


@pytest.fixture(scope="session")
def client() -> Client:
    """The fleet of the scenario, or with FLEET=lab the lab's."""
    return Client(Fleet.load(os.environ.get("FLEET", "default")))


@pytest.fixture(scope="session")
def api_key(client: Client) -> Iterator[str]:
    """A key of a client, issued for these tests and revoked after them."""
    key = client.admin("POST", "/admin/keys", {"client": "fleet-tests"}).json["key"]
    yield key
    client.admin("DELETE", f"/admin/keys/{key.partition('.')[0]}")


@pytest.fixture
def found(client: Client) -> Callable[[str, float], bool]:
    """Whether the engine has found something by a rule since a time. People are told the same once an hour; it looks each time."""

    def look(rule: str, since: float) -> bool:
        command = f"journalctl --no-pager -o cat -u hardened-detection --since @{since:.3f} | grep -c \"performed '{rule}'\" || true"
        return int(client.on("log-1", "sh", "-c", command)) > 0

    return look

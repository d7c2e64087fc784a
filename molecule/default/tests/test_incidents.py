# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attacker does at the edge is an alert on the collector, seconds later."""

from __future__ import annotations

import time
from collections.abc import Callable

from labkit import plays
from labkit.client import Client

Found = Callable[[str, float], bool]


def test_guessing_an_administrators_key_is_an_alert(client: Client, found: Found) -> None:
    started = time.time()
    answers = [
        client.request("GET", "/admin/keys", headers={"X-Admin-Key": f"{number:064x}"}).status
        for number in range(5)
    ]
    assert answers == [401] * 5
    plays.eventually(lambda: found("admin_authentication", started), 5)


def test_looking_for_what_is_not_there_is_an_alert(client: Client, found: Found) -> None:
    started = time.time()
    for number in range(26):
        client.request("GET", f"/v1/nothing/{number}")
    plays.eventually(lambda: found("enumeration", started), 5)


def test_a_role_that_is_changed_by_others_than_this_collection_is_an_alert(
    client: Client, found: Found
) -> None:
    def change(name: str) -> float:
        started = time.time()
        psql = ["psql", "--quiet", "--command", "ALTER ROLE app_readonly NOLOGIN"]
        client.on("db-1", "runuser", "-u", "postgres", "--", "env", f"PGAPPNAME={name}", *psql)
        return started

    own = change("techsaas.hardened")
    # It has all of three seconds more than an alert takes.
    time.sleep(3)
    assert not found("database_change", own)
    other = change("psql")
    plays.eventually(lambda: found("database_change", other), 5)

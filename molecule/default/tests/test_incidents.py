# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attacker does at the edge is an alert on the collector, seconds later."""

from __future__ import annotations

import time

from labkit import plays
from labkit.client import Client


def found(client: Client, rule: str, since: float) -> str:
    """What the engine says of a rule. People are told the same once an hour; it looks each time."""
    script = f"journalctl --no-pager -o cat -u hardened-detection --since @{since:.3f} | grep \"performed '{rule}'\" || true"
    return client.on("log-1", "sh", "-c", script)


def test_guessing_an_administrators_key_is_an_alert(client: Client) -> None:
    started = time.time()
    answers = [
        client.request("GET", "/admin/keys", headers={"X-Admin-Key": f"{number:064x}"}).status
        for number in range(5)
    ]
    assert answers == [401] * 5
    plays.eventually(lambda: found(client, "admin_authentication", started) != "", 5)


def test_looking_for_what_is_not_there_is_an_alert(client: Client) -> None:
    started = time.time()
    for number in range(26):
        client.request("GET", f"/v1/nothing/{number}")
    plays.eventually(lambda: found(client, "enumeration", started) != "", 5)

# SPDX-License-Identifier: GPL-3.0-or-later
"""During an incident all hosts look closer, one is cut off, nobody notices, and all of it ends by itself."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from labkit import plays
from labkit.client import Client

HOSTS = ("edge-1", "app-1", "app-2", "db-1", "log-1")
LOOK = """
find /etc /usr/local -xdev -type f -print0 | sort -z | xargs -0 sha256sum
nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//; s/ expires [0-9a-z]*//'
"""
SETTINGS = (
    "select name, setting from pg_settings where name in ('pgaudit.log', 'log_disconnections') order by 1"
)


def look(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = {host: set(client.on(host, "sh", "-c", LOOK).splitlines()) for host in HOSTS}
    found["settings"] = client.on("db-1", "runuser", "-u", "postgres", "--", "psql", "-Atc", SETTINGS)
    return found


def statuses(client: Client, number: int) -> list[int]:
    """Of requests at once, for none of which a key is needed."""
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        return [
            answer.status for answer in pool.map(lambda _n: client.request("GET", "/readyz"), range(number))
        ]


def test_an_incident_begins_and_ends_by_itself(client: Client) -> None:
    before, case = look(client), f"fleet-{time.time():.0f}"
    options = {
        "state": "open",
        "case": case,
        "reason": "test",
        "ttl": "25s",
        "tighten": "true",
        "host": "app-2",
    }
    words = [word for name, value in options.items() for word in ("-e", f"{name}={value}")]
    done = plays.play(client, "incident.yml", *words, "-e", "isolate=true")
    assert done.returncode == 0, done.stdout[-3000:]
    # Served by the other host, and less often than at other times: 10 at once, 5 more each second.
    answers = statuses(client, 30)
    assert set(answers) == {200, 429} and answers.count(429) >= 5, answers
    assert client.reach("app-2", "db-1", 5432) == "ConnectionRefusedError"
    settings = client.on("db-1", "runuser", "-u", "postgres", "--", "psql", "-Atc", SETTINGS)
    assert settings.split() == ["log_disconnections|on", "pgaudit.log|all,", "-misc"]
    # Also from the host that is cut off, all has come to the collector.
    verified = client.playbook("incident.yml", "-e", "state=verify", "-e", f"case={case}")
    assert verified.returncode == 0 and verified.stdout.count("as it was taken") == len(HOSTS), (
        verified.stdout
    )
    # Nobody closes it.
    plays.eventually(lambda: look(client) == before, 60)
    plays.eventually(lambda: client.reach("edge-1", "app-2", 8441) == "reached", 20)
    assert set(statuses(client, 20)) == {200}


def test_it_is_reviewed(client: Client) -> None:
    done = client.playbook("incident.yml", "-e", "state=review", "-e", "window=1h")
    assert done.returncode == 0, done.stdout[-3000:]
    for words in (
        "failed administrative authentication",
        "Keys most used",
        "incident_opened",
        "release_promoted",
    ):
        assert words in done.stdout, words

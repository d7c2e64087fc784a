# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from labkit import plays
from labkit.client import Client
from labkit.fleet import Fleet

HOSTS = ("app-12", "app-13")
# All that a measure could leave behind: files, rules, units. Debian's own table comes and goes with nftables.service.
LOOK = """
find /etc /usr/local -xdev -type l -printf '%l %p\\n'
find /etc /usr/local -xdev -type f -print0 | sort -z | xargs -0 sha256sum 2>/dev/null
nft list tables | grep -v 'inet filter$' | while read -r _ family name; do nft list table "$family" "$name"; done | sed 's/packets [0-9]* bytes [0-9]*//'
systemctl list-units --all --plain --no-legend 'hardened-incident*' 'hardened-listener*' | tr -s ' '
"""


@dataclass
class Desk:
    """Whoever works on an incident."""

    client: Client

    def look(self, host: str) -> set[str]:
        return set(self.client.on(host, "sh", "-c", LOOK).splitlines())

    def left(self, before: dict[str, set[str]]) -> dict[str, list[str]]:
        """What is not as it was, by host."""
        found = {host: sorted(self.look(host) ^ was) for host, was in before.items()}
        return {host: lines for host, lines in found.items() if lines}

    def program(self, host: str, *arguments: str) -> dict[str, Any]:
        """The program on the host."""
        loaded: dict[str, Any] = json.loads(self.client.on(host, "hardened-incident", *arguments))
        return loaded

    def refused(self, host: str, *arguments: str) -> str:
        """Its words when it says no."""
        script = f"hardened-incident {shlex.join(arguments)} 2>&1 >/dev/null && echo not refused; true"
        return self.client.on(host, "sh", "-c", script)

    def verb(self, **options: str) -> Any:
        """The playbook; a value with spaces is one value."""
        given = [word for name, value in options.items() for word in ("-e", json.dumps({name: value}))]
        return self.client.playbook("incident.yml", *given)

    def opened(self, **options: str) -> Any:
        done = self.verb(state="open", reason="a test", **options)
        assert done.returncode == 0, done.stdout[-3000:]
        return done

    def told(self) -> None:
        """What hosts have said of evidence, as the collector would have stored it."""
        for host in (*HOSTS, "log-13"):
            said = self.client.on(
                host, "journalctl", "-t", "hardened", "-o", "cat", "--no-pager"
            ).splitlines()
            lines = [
                json.dumps({"host": host, "data": json.loads(line)})
                for line in said
                if "evidence_taken" in line
            ]
            script = (
                f"mkdir -p /var/log/hardened/{host} && cat > /var/log/hardened/{host}/hardened.jsonl <<'X'\n"
            )
            self.client.on("log-13", "sh", "-c", script + "\n".join(lines) + "\nX\n")


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("incident"))


@pytest.fixture
def desk(client: Client) -> Iterator[Desk]:
    desk = Desk(client)
    before = {host: desk.look(host) for host in HOSTS}
    yield desk
    for host in (*HOSTS, "log-13"):
        desk.program(host, "close")
    # Whatever was done, nothing of it is left.
    with contextlib.suppress(AssertionError):
        plays.eventually(lambda: desk.left(before) == {}, 20)
    assert desk.left(before) == {}

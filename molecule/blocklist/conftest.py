# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from labkit.client import Client
from labkit.fleet import Fleet

EDGES = {"edge-12": 100, "edge-13": 101}
# One connection, one request every 50 ms; tells when it broke and how, or that it did not.
KEPT_ALIVE = """
import http.client, socket, sys, time
source, target, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
connection = http.client.HTTPConnection(target, 8080, timeout=3, source_address=(source, 0))
end, answers = time.time() + seconds, 0
try:
    while time.time() < end:
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.auto_open = 0
        answers += 1
        time.sleep(0.05)
    print(answers, time.time(), "open")
except OSError as error:
    print(answers, time.time(), type(error).__name__)
"""


@dataclass
class Stranger:
    """A client that the inventory does not know."""

    client: Client

    def keeps_asking(self, edge: str, source: str, seconds: float) -> tuple[int, float, str]:
        """How often a connection was answered, when that ended, and how: `open`, or the error that broke it."""
        target = f"198.51.100.{EDGES[edge]}" if ":" not in source else f"2001:db8:9::{EDGES[edge]}"
        told = self.client.on("client-13", "python3", "-c", KEPT_ALIVE, source, target, str(seconds)).split()
        return int(told[0]), float(told[1]), told[2]

    def asks(self, edge: str, source: str) -> str:
        return self.keeps_asking(edge, source, 0.2)[2]

    def route(self, edge: str, network: str) -> None:
        """Send what is for a network to an edge."""
        self.client.on("client-13", "ip", "route", "replace", network, "via", f"198.51.100.{EDGES[edge]}")

    def verb(self, edge: str, *arguments: str) -> dict[str, object]:
        """The program on the host."""
        loaded: dict[str, object] = json.loads(self.client.on(edge, "hardened-blocklist", *arguments))
        return loaded

    def refused(self, edge: str, *arguments: str) -> str:
        """Its words when it says no."""
        script = f"hardened-blocklist {shlex.join(arguments)} 2>&1 >/dev/null && echo not refused; true"
        return self.client.on(edge, "sh", "-c", script)


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("blocklist"))


@pytest.fixture
def stranger(client: Client) -> Iterator[Stranger]:
    yield Stranger(client)
    for edge in EDGES:
        for line in client.on(edge, "hardened-blocklist", "list").splitlines():
            client.on(edge, "hardened-blocklist", "remove", line.split()[0])

# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes over kept connections, while everything about the edge changes that can be changed under load."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from molecule.reverse_proxy.tests.conftest import APPS, EDGES, Edge, finish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from molecule.reverse_proxy.tests.conftest import Lab

CONNECTIONS = 40
CHANGES = 20
# Those with which there is a new certificate too.
RENEWALS = (3, 9, 15)
# Seconds between an answer and the next request, at most.
PAUSE = 0.1
BODY = b'{"some": "thing"}'


@dataclass
class Writers:
    """Each keeps its connection for as long as the edge wants to, as RFC 9112 has it, and never sends anything twice."""

    edge: Edge
    statuses: Counter[int] = field(default_factory=Counter)
    answered: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    opened: int = 0
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Writers:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._end.set()
        assert self._thread
        self._thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._write() for _connection in range(CONNECTIONS)))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened += 1
        name = self.edge.lab.domain
        return await asyncio.open_connection(
            self.edge.address, 443, ssl=self.edge.context(), server_hostname=name
        )

    async def _write(self) -> None:
        request = (
            f"POST /write HTTP/1.1\r\nHost: {self.edge.lab.domain}\r\nUser-Agent: writer\r\nAccept: */*\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY
        reader, writer = await self._open()
        while not self._end.is_set():
            if reader.at_eof():
                writer.close()
                reader, writer = await self._open()
            try:
                writer.write(request)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 40)).decode("latin-1").lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(fields["content-length"]))
            except (OSError, EOFError, ssl.SSLError) as error:
                self.lost.append(repr(error))
                writer.close()
                reader, writer = await self._open()
                continue
            self.statuses[int(head.split(" ")[1])] += 1
            self.answered.append(fields["x-request-id"])
            if fields.get("connection") == "close":
                writer.close()
                reader, writer = await self._open()
            await asyncio.sleep(PAUSE * (len(self.answered) % 7) / 6)
        writer.close()


@pytest.fixture
def as_before(lab: Lab) -> Iterator[None]:
    yield
    finish(lab.playbook("waf.yml"))
    lab.weights(0)


def test_changes_weights_and_renewals_lose_nothing(lab: Lab, as_before: None) -> None:
    """On both edges at once: each write answered, and arrived once."""
    for app in APPS:
        lab.run(app, "truncate", "--size=0", "/var/log/nginx/written.log")
    certificates = {served(lab, name) for name in EDGES}
    with Writers(Edge(EDGES[0], lab)) as older, Writers(Edge(EDGES[1], lab)) as newer:
        for number in range(CHANGES):
            weights = lab.playbook("weights.yml", weights=100 - 100 * (number % 2))
            if number in RENEWALS:
                for name in EDGES:
                    lab.run(name, "rm", "/etc/hardened/pki/edge.crt")
                finish(lab.playbook("prepare.yml"))
            output = finish(lab.playbook("waf.yml", reverse_proxy_rate_limit=100 + number))
            assert output.count("changed: [edge-1") == len(EDGES), output
            assert f"changed: [{EDGES[0]}]" in finish(weights)
    for writers in (older, newer):
        print(
            f"{writers.edge.name}: {len(writers.answered)} answers, {writers.opened} connections, "
            f"{len(writers.lost)} lost {Counter(writers.lost)}"
        )
    assert older.lost + newer.lost == []
    assert set(older.statuses + newer.statuses) == {201}
    assert certificates.isdisjoint(served(lab, name) for name in EDGES)
    arrived = Counter(
        json.loads(line)["request_id"]
        for app in APPS
        for line in lab.run(app, "cat", "/var/log/nginx/written.log").splitlines()
    )
    assert arrived == Counter(older.answered + newer.answered)


def served(lab: Lab, name: str) -> bytes:
    with Edge(name, lab).connect() as connection:
        return connection.getpeercert(binary_form=True) or b""

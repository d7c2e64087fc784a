# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that keep their connections and count every answer that they do not get."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .client import Client


class Answered(NamedTuple):
    at: float
    seconds: float
    status: int
    connection: int


@dataclass
class Load:
    """Requests on kept-alive connections, to all edges in turn, until the block ends.

    :param pause: seconds of thought between two requests of a connection.
    :param failover: whether a client that an edge refuses to connect tries the next one's address, as browsers do.
    """

    client: Client
    connections: int = 40
    path: str = "/post"
    pause: float = 0.05
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    failover: bool = False
    answered: list[Answered] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._end = threading.Event()
        self._context = ssl.create_default_context(cafile=str(self.client.inventory / ".pki" / "ca.crt"))
        edges = [host.name for host in self.client.fleet.hosts if "edge" in host.groups]
        self._addresses = [self.client.addresses[edge] for edge in edges]
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(number, self._addresses[number % len(edges)]),
                daemon=True,
            )
            for number in range(self.connections)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment: float) -> Counter[int]:
        """Statuses of the answers to what was asked since then."""
        return Counter(one.status for one in list(self.answered) if one.at >= moment)

    @property
    def words(self) -> str:
        slowest = max((one.seconds for one in self.answered), default=0.0)
        statuses = dict(sorted(Counter(one.status for one in self.answered).items()))
        return f"{len(self.answered)} answered ({statuses}), {len(self.lost)} lost, slowest {slowest:.2f} s"

    def _run(self, number: int, address: str) -> None:
        connection: http.client.HTTPSConnection | None = None
        body = json.dumps({"connection": number} if self.body is None else self.body)
        headers = {"Content-Type": "application/json", **self.headers}
        while not self._end.is_set():
            began = time.time()
            try:
                connection = connection or self._connect(address)
                connection.request("POST", self.path, body, headers)
                answer = connection.getresponse()
                answer.read()
                self.answered.append(Answered(began, time.time() - began, answer.status, number))
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{time.strftime('%H:%M:%S')} {error!r}")
                connection = None
            self._end.wait(self.pause)

    def _connect(self, address: str) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self.client.domain, timeout=20)
        try:
            plain = socket.create_connection((address, 443), timeout=20)
        except ConnectionRefusedError:
            if not self.failover:
                raise
            other = next(one for one in self._addresses if one != address)
            plain = socket.create_connection((other, 443), timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = self._context.wrap_socket(plain, server_hostname=self.client.domain)
        return connection

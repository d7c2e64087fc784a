# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that speaks HTTP/3."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset

from molecule.reverse_proxy.tests.conftest import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aioquic.quic.events import QuicEvent

    from molecule.reverse_proxy.tests.conftest import Edge

SECONDS = 10


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, tuple[Answer, asyncio.Future[Answer]]] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            for stream in self._answers:
                self._fail(stream, f"connection closed, {event.error_code} {event.reason_phrase}")
        elif isinstance(event, StreamReset):
            self._fail(event.stream_id, f"stream reset, {event.error_code:#x}")
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived | DataReceived) and found.stream_id in self._answers:
                self._receive(found)

    def _fail(self, stream: int, why: str) -> None:
        if stream in self._answers and not self._answers[stream][1].done():
            self._answers[stream][1].set_exception(OSError(why))

    def _receive(self, event: HeadersReceived | DataReceived) -> None:
        answer, whole = self._answers[event.stream_id]
        if isinstance(event, DataReceived):
            answer.body += event.data
        else:
            for name, value in event.headers:
                answer.headers.setdefault(name.decode(), []).append(value.decode())
            answer.status = int(answer.header(":status"))
        if event.stream_ended and not whole.done():
            whole.set_result(answer)

    async def request(self, host: str, path: str, body: bytes | None = None) -> Answer:
        """A GET, or a POST of JSON if there is a body."""
        stream = self._quic.get_next_available_stream_id()
        whole: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[stream] = (Answer(0, {}, b"", "HTTP/3"), whole)
        fields = {
            ":method": "GET" if body is None else "POST",
            ":scheme": "https",
            ":authority": host,
            ":path": path,
        }
        fields |= {"user-agent": "http3", "accept": "*/*"}
        if body is not None:
            fields |= {"content-type": "application/json", "content-length": str(len(body))}
        self._http.send_headers(
            stream, [(name.encode(), value.encode()) for name, value in fields.items()], body is None
        )
        if body is not None:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await asyncio.wait_for(whole, SECONDS)


@asynccontextmanager
async def client(edge: Edge, name: str | None = None) -> AsyncIterator[Client]:
    """A connection to the edge's address, asking for a name; whatever certificate there is for another one than the edge's is taken."""
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        server_name=name or edge.lab.domain,
        cafile=str(edge.lab.ca),
        verify_mode=ssl.CERT_NONE if name else ssl.CERT_REQUIRED,
    )
    async with connect(edge.address, 443, configuration=configuration, create_protocol=Client) as connection:
        assert isinstance(connection, Client)
        yield connection


def ask(edge: Edge, path: str, body: bytes | None = None, host: str = "") -> Answer:
    """One request on a connection of its own."""

    async def run() -> Answer:
        async with client(edge) as connection:
            return await connection.request(host or edge.lab.domain, path, body)

    return asyncio.run(run())

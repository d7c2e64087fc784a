# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything on one machine: the API works, and no more is open to the outside than has to be."""

from __future__ import annotations

import asyncio

from labkit.client import Client

# SSH and the edge. What the host's parts say to each other is for nobody else.
OPEN = {22, 80, 443}
HIGHEST = 20600
# So many at a time, since what is dropped takes its whole second.
AT_ONCE = 800


def test_a_client_creates_and_reads(client: Client) -> None:
    issued = client.admin("POST", "/admin/keys", {"client": "single-host"}).json
    key = {"X-API-Key": issued["key"]}
    created = client.request("POST", "/v1/items", headers=key, body={"name": "first"})
    assert (created.status, created.protocol) == (201, "HTTP/2")
    assert client.request("GET", f"/v1/items/{created.json['id']}", headers=key).json["name"] == "first"
    assert client.admin("DELETE", f"/admin/keys/{issued['id']}").status in (200, 204)


async def is_open(address: str, port: int, turn: asyncio.Semaphore) -> bool:
    async with turn:
        try:
            _reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 1)
        except OSError:
            return False
        writer.close()
        return True


def test_no_other_port_is_open(client: Client) -> None:
    async def scan() -> set[int]:
        turn = asyncio.Semaphore(AT_ONCE)
        ports = range(1, HIGHEST)
        found = await asyncio.gather(*(is_open(client.addresses["api-1"], port, turn) for port in ports))
        return {port for port, one in zip(ports, found, strict=True) if one}

    assert asyncio.run(scan()) == OPEN

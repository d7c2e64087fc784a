# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything on one machine: the API works, and no more is open to the outside than has to be."""

from __future__ import annotations

import socket

from labkit.client import Client

# SSH, the edge, the listener that admits only the edge, PostgreSQL and the collector, both with mutual TLS or SCRAM.
OPEN = {22, 80, 443, 5432, 8441, 8442, 20514}
HIGHEST = 20600


def test_a_client_creates_and_reads(client: Client) -> None:
    issued = client.admin("POST", "/admin/keys", {"client": "single-host"}).json
    key = {"X-API-Key": issued["key"]}
    created = client.request("POST", "/v1/items", headers=key, body={"name": "first"})
    assert (created.status, created.protocol) == (201, "HTTP/2")
    assert client.request("GET", f"/v1/items/{created.json['id']}", headers=key).json["name"] == "first"
    assert client.admin("DELETE", f"/admin/keys/{issued['id']}").status in (200, 204)


def test_no_other_port_is_open(client: Client) -> None:
    found = set()
    for port in range(1, HIGHEST):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((client.addresses["api-1"], port)) == 0:
                found.add(port)
    assert found == OPEN

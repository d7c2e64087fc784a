# SPDX-License-Identifier: GPL-3.0-or-later
"""The example's own requests, through the edge, and their way to the collector."""

from __future__ import annotations

import json
import time
from typing import Any

from labkit.client import Client

LOG_DEADLINE = 5


def logged(client: Client, request_id: str, **wanted: str) -> dict[str, Any]:
    """The collector's line about a request, which has to be there within the deadline."""
    ended = time.monotonic() + LOG_DEADLINE
    lines: list[dict[str, Any]] = []
    while time.monotonic() < ended:
        found = client.on("log-1", "sh", "-c", f"grep -rhF {request_id} /var/log/hardened || true")
        lines = [json.loads(line) for line in found.splitlines()]
        for line in lines:
            if all(
                line.get(name) == value or line.get("data", {}).get(name) == value
                for name, value in wanted.items()
            ):
                return line
        time.sleep(0.2)
    raise AssertionError(
        f"nothing with {wanted} about {request_id} on log-1 within {LOG_DEADLINE} s, only {lines}"
    )


def test_a_client_creates_and_reads(client: Client, api_key: str) -> None:
    key = {"X-API-Key": api_key}
    created = client.request("POST", "/v1/items", headers=key, body={"name": "first"})
    assert (created.status, created.protocol) == (201, "HTTP/2")
    read = client.request("GET", f"/v1/items/{created.json['id']}", headers=key)
    assert (read.status, read.json["name"]) == (200, "first")
    for answer in (created, read):
        logged(client, answer.request_id, event="request")


def test_the_edge_tells_of_a_request_too(client: Client) -> None:
    answer = client.request("GET", "/v1/items?secret=hunter2")
    line = logged(client, answer.request_id, service="nginx_access")
    seen = {name: line["data"][name] for name in ("method", "path", "status", "protocol")}
    assert seen == {"method": "GET", "path": "/v1/items", "status": answer.status, "protocol": "HTTP/2.0"}
    assert "hunter2" not in json.dumps(line)


def test_a_revoked_key_is_refused_and_the_refusal_is_a_security_event(client: Client) -> None:
    issued = client.admin("POST", "/admin/keys", {"client": "short-lived"})
    assert issued.status == 201
    key = issued.json["key"]
    revoked = client.admin("DELETE", f"/admin/keys/{key.partition('.')[0]}")
    assert revoked.status in (200, 204)
    refused = client.request("GET", "/v1/items", headers={"X-API-Key": key})
    assert refused.status == 401
    logged(client, issued.request_id, event="key_issued")
    logged(client, revoked.request_id, event="key_revoked")
    line = logged(client, refused.request_id, event="key_rejected")
    assert line["facility"] == "auth"
    assert key not in json.dumps(line)


def test_the_client_address_is_the_real_one(client: Client) -> None:
    refused = client.request(
        "GET", "/admin/keys", headers={"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "made-up-by-client"}
    )
    assert refused.status == 401
    assert refused.request_id != "made-up-by-client"
    line = logged(client, refused.request_id, event="admin_authentication_failed")
    gateway = client.addresses["edge-1"].rpartition(".")[0] + ".1"
    assert line["data"]["client"] == gateway

# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand honest requests, hardly any of which the firewall refuses: docs/waf.md, "False positives": HONEST_SEED makes others."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from molecule.reverse_proxy.tests.honest import Honest, Request

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Edge

NUMBER = 10_000
SEED = int(os.environ.get("HONEST_SEED", "20261127"))
CLIENTS = 8


def refused(edge: Edge, requests: list[Request]) -> list[tuple[str, Request]]:
    """The requests that the edge itself refused, with their ids."""
    client = edge.client()
    found = []
    for request in requests:
        client.request(request.method, request.path, request.body, request.headers)
        answer = client.getresponse()
        answer.read()
        if answer.status not in (200, 201):
            found.append((str(answer.getheader("X-Request-ID")), request))
    return found


@pytest.mark.parametrize(
    ("prose", "most"),
    [
        # The engine's own detections of scripts and SQL take some base64 for one, and one English text in hundreds.
        (False, NUMBER // 4000),
        (True, NUMBER // 200),
    ],
    ids=["no prose", "prose"],
)
def test_honest_requests_pass(edge: Edge, *, prose: bool, most: int) -> None:
    requests = list(Honest(SEED, prose=prose).requests(NUMBER))
    assert len({(request.method, request.path, request.body) for request in requests}) > 0.7 * NUMBER
    found: list[tuple[str, Request]] = []
    shares = [requests[number::CLIENTS] for number in range(CLIENTS)]
    threads = [
        threading.Thread(target=lambda share=share: found.extend(refused(edge, share))) for share in shares
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = edge.lab.run(edge.name, "journalctl", "-t", "nginx_waf", "-o", "cat", "-n", "2000").splitlines()
    hits = {line["request_id"]: line for line in map(json.loads, lines) if "request_id" in line}
    for request_id, request in found:
        rules = [rule["id"] for rule in hits.get(request_id, {}).get("rules", [])]
        print(f"{request.method} {request.path[:200]} {rules} {request.text[:1500]}")
    print(f"{edge.name}: {len(found)} of {NUMBER} refused, seed {SEED}")
    assert len(found) <= most
    # With a firewall that looks.
    assert edge.get("/v1/search?q=%3Cscript%3Ealert(1)%3C/script%3E").status == 403

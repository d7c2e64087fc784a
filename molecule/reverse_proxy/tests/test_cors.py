# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of other origins, where the edge answers them: what their browser is told (see test_clients for the default)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from molecule.reverse_proxy.tests.conftest import Answer, finish

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Edge, Lab

LISTED = "https://console.lab.internal"
OTHERS = (
    "https://console.lab.internal.evil.example",
    "https://consoleXlab.internal",
    "https://CONSOLE.lab.internal",
    "http://console.lab.internal",
    "https://console.lab.internal:8443",
    "null",
    "*",
)
ATTACK = "/?q=%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.fixture(scope="module", autouse=True)
def by_the_edge(lab: Lab) -> Iterator[None]:
    yield from otherwise(lab, reverse_proxy_cors="edge", reverse_proxy_cors_credentials=True)


def otherwise(lab: Lab, **variables: object) -> Iterator[None]:
    finish(lab.playbook("waf.yml", **variables))
    lab.weights(0)
    yield
    finish(lab.playbook("waf.yml"))


def cors(answer: Answer) -> dict[str, list[str]]:
    return {name: values for name, values in answer.headers.items() if name.startswith("access-control-")}


def ask(edge: Edge, path: str, origin: str, *options: str) -> Answer:
    return edge.get(path, "-H", f"Origin: {origin}", *options)


def preflight(edge: Edge, path: str, origin: str, *options: str) -> Answer:
    asked = ("-H", "Access-Control-Request-Method: PUT", "-H", "Access-Control-Request-Headers: x-api-key")
    return ask(edge, path, origin, "-X", "OPTIONS", *asked, *options)


def test_preflight(edge: Edge) -> None:
    answer = preflight(edge, "/cors", LISTED)
    assert (answer.status, answer.body) == (204, b"")
    assert cors(answer) == {
        "access-control-allow-origin": [LISTED],
        "access-control-allow-credentials": ["true"],
        "access-control-allow-methods": ["GET, HEAD, POST, PUT, PATCH, DELETE"],
        "access-control-allow-headers": ["Authorization, Content-Type, X-API-Key, X-Request-ID"],
        "access-control-max-age": ["600"],
    }
    assert answer.header("vary") == "Origin"
    assert answer.header("x-frame-options") == "DENY"
    # The engine of the firewall is not asked, and neither is the application.
    assert preflight(edge, ATTACK, LISTED).status == 204


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_get_nothing(edge: Edge, origin: str) -> None:
    answer = preflight(edge, "/", origin)
    assert (answer.status, cors(answer), answer.header("vary")) == (204, {}, "Origin")
    assert cors(ask(edge, "/cors", origin)) == {}


def test_what_is_no_preflight_reaches_the_application(edge: Edge) -> None:
    assert edge.get("/", "-X", "OPTIONS").json["method"] == "OPTIONS"
    assert ask(edge, "/", LISTED, "-X", "OPTIONS").json["method"] == "OPTIONS"


def test_answers_have_the_edges_headers_once(edge: Edge) -> None:
    wanted = {
        "access-control-allow-origin": [LISTED],
        "access-control-allow-credentials": ["true"],
        "access-control-expose-headers": ["X-Request-ID, Retry-After"],
    }
    for path in ("/", "/cors", "/status/404", "/status/503", "/admin/keys", ATTACK):
        assert cors(ask(edge, path, LISTED)) == wanted, path
    assert cors(ask(edge, "/", LISTED, "-H", "Content-Length: 1048577", "-d", "x")) == wanted
    assert ask(edge, "/cors", LISTED).header("vary") == "Accept, Origin"
    assert edge.get("/").header("vary") == "Origin"
    assert cors(edge.get("/")) == {}


@pytest.mark.usefixtures("no_release")
def test_without_a_release(edge: Edge) -> None:
    answer = ask(edge, "/", LISTED)
    assert (answer.status, answer.header("access-control-allow-origin")) == (503, LISTED)
    assert preflight(edge, "/", LISTED).status == 204


def test_closed_for_maintenance(edge: Edge) -> None:
    record = "/var/lib/hardened/edge/maintenance.json"
    edge.lab.run(edge.name, "touch", record)
    try:
        assert preflight(edge, "/", LISTED).status == 204
        answer = ask(edge, "/", LISTED)
        assert (answer.status, answer.header("access-control-allow-origin")) == (503, LISTED)
    finally:
        edge.lab.run(edge.name, "rm", record)


def test_preflights_are_limited_and_say_so_to_the_page(edge: Edge) -> None:
    time.sleep(3)
    # One connection, one process: an ordinary client that asks far more than it may.
    given = json.dumps({"address": edge.address, "domain": edge.lab.domain, "origin": LISTED})
    found = json.loads(edge.lab.run("app-12", "python3", "-c", MANY, given))
    assert set(found["statuses"]) == {204, 429}
    assert 40 <= found["statuses"].count(204) <= 150
    assert found["origins"] == [LISTED]


MANY = """
import http.client, json, socket, ssl, sys
given = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
connection = http.client.HTTPSConnection(given["domain"], context=context, timeout=20)
connection._create_connection = lambda *a, **k: socket.create_connection((given["address"], 443), 20)
headers = {"Origin": given["origin"], "Access-Control-Request-Method": "GET"}
statuses, origins = [], set()
for _ in range(200):
    connection.request("OPTIONS", "/", headers=headers)
    response = connection.getresponse()
    response.read()
    statuses.append(response.status)
    origins.add(response.getheader("Access-Control-Allow-Origin"))
print(json.dumps({"statuses": statuses, "origins": sorted(origins, key=str)}))
"""

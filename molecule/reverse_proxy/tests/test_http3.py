# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/3, which Debian's nginx has from Debian 13 on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from molecule.reverse_proxy.tests.conftest import EDGES, Edge, finish
from molecule.reverse_proxy.tests.http3 import SECONDS, ask, client
from molecule.reverse_proxy.tests.test_clients import assert_error, assert_hardened
from molecule.reverse_proxy.tests.test_reloads import BODY
from molecule.reverse_proxy.tests.test_waf import hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from molecule.reverse_proxy.tests.conftest import Lab

OFFER = ['h3=":443"; ma=3600']
REST = ["clear"]
CONNECTIONS = 8
PAUSE = 0.05
# Seconds for which old workers may live, with an application that has to answer within one.
OLD_WORKERS = 31


@pytest.fixture
def newer(lab: Lab) -> Edge:
    return Edge(EDGES[1], lab)


@pytest.fixture
def reloaded(lab: Lab) -> Iterator[None]:
    finish(lab.playbook("waf.yml", reverse_proxy_app_timeout=1))
    yield
    finish(lab.playbook("waf.yml"))


def offered(edge: Edge) -> list[str]:
    return edge.get("/v1/items").headers.get("alt-svc", [])


def test_it_is_offered_where_it_is(lab: Lab) -> None:
    offers = {name: offered(Edge(name, lab)) for name in EDGES}
    listening = {name: ":443 " in lab.run(name, "ss", "-Hlnu") for name in EDGES}
    # Soon after a reload it is not.
    assert offers in ({EDGES[0]: [], EDGES[1]: OFFER}, {EDGES[0]: [], EDGES[1]: REST})
    assert listening == {EDGES[0]: False, EDGES[1]: True}


def test_an_answer(newer: Edge) -> None:
    answer = ask(newer, "/v1/items?page=3")
    assert answer.status == 200
    assert answer.json["uri"] == "/v1/items?page=3"
    assert answer.json["host"] == newer.lab.domain
    assert_hardened(answer)
    (line,) = newer.access_log(answer.header("x-request-id"))
    assert (line["protocol"], line["tls"], line["status"]) == ("HTTP/3.0", "TLSv1.3", 200)


def test_writes_arrive(newer: Edge) -> None:
    answer = ask(newer, "/write", BODY)
    assert answer.status == 201
    assert_hardened(answer)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/?q={quote('<script>alert(1)</script>')}", None),
        ("/write", b'{"id": "1\' or 1=1 -- "}'),
    ],
)
def test_attacks_are_refused(newer: Edge, path: str, body: bytes | None) -> None:
    answer = ask(newer, path, body)
    assert_error(answer, 403, "forbidden")
    (line,) = newer.access_log(answer.header("x-request-id"))
    assert line["waf"] == "blocked"
    # For what it is, and not for the protocol or for the host, which is no header here.
    assert min(rule["id"] for rule in hit(newer, answer)["rules"]) > 930_000


def test_what_is_known_passes_the_firewall(newer: Edge) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = ask(newer, "/v1/items?over=http3")
        (line,) = newer.access_log(answer.header("x-request-id"))
        if line["waf"] == "known":
            break
    assert line["waf"] == "known"


def test_errors_of_the_edge(newer: Edge) -> None:
    assert_error(ask(newer, "/", b"x" * 1_048_577), 413, "content_too_large")
    assert_error(ask(newer, "/admin/users"), 403, "forbidden")
    assert_error(ask(newer, "/", host="other.example"), 421, "misdirected_request")


@pytest.mark.parametrize("name", ["other.example", "localhost"])
def test_unknown_name_gets_no_handshake(newer: Edge, name: str) -> None:
    async def run() -> None:
        async with client(newer, name):
            pass

    with pytest.raises(ConnectionError):
        asyncio.run(run())


async def write(edge: Edge, seen: Counter[str]) -> None:
    """Writes over one connection until it is told to use another protocol."""
    async with client(edge) as connection:
        while True:
            try:
                answer = await connection.request(edge.lab.domain, "/write", BODY)
            except (OSError, TimeoutError) as error:
                seen[f"lost: {error!r}"] += 1
                return
            seen[str(answer.status)] += 1
            if answer.headers["alt-svc"] == REST:
                seen["went"] += 1
                return
            await asyncio.sleep(PAUSE)


def test_a_reload_loses_nothing_of_clients_that_go_when_told(newer: Edge, reloaded: None) -> None:
    assert offered(newer) == REST
    deadline = time.monotonic() + OLD_WORKERS + SECONDS
    while offered(newer) != OFFER and time.monotonic() < deadline:
        time.sleep(1)
    seen: Counter[str] = Counter()

    async def run() -> None:
        writers = [asyncio.create_task(write(newer, seen)) for _connection in range(CONNECTIONS)]
        await asyncio.sleep(1)
        assert not any(writer.done() for writer in writers)
        await asyncio.to_thread(newer.lab.run, newer.name, "systemctl", "reload", "nginx")
        await asyncio.gather(*writers)

    asyncio.run(run())
    print(f"{newer.name}: {dict(seen)}")
    assert seen.keys() == {"201", "went"}
    assert seen["went"] == CONNECTIONS

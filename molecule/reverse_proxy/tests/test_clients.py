# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients get, good ones and bad ones."""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from molecule.reverse_proxy.tests.attacker import PREFACE, SETTINGS, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from molecule.reverse_proxy.tests.conftest import Answer, Edge

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "server": "nginx",
}


def assert_hardened(answer: Answer, tls: bool = True) -> None:
    """Every header is there, once, and nothing tells what runs behind."""
    assert {name: answer.header(name) for name in HEADERS} == HEADERS
    assert answer.header("content-security-policy").startswith("default-src 'none'; frame-ancestors 'none'")
    assert "camera=()" in answer.header("permissions-policy")
    assert re.fullmatch("[0-9a-f]{32}", answer.header("x-request-id"))
    hsts = ["max-age=63072000; includeSubDomains"] if tls else []
    assert answer.headers.get("strict-transport-security", []) == hsts
    telling = ("x-powered-by", "x-hardened-slot", "x-hardened-backend", "via", "x-accel-redirect")
    assert [name for name in telling if name in answer.headers] == []


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status
    assert_hardened(answer)
    assert answer.header("content-type") == "application/json"
    error = answer.json["error"]
    assert (error["code"], error["request_id"]) == (code, answer.header("x-request-id"))


def test_answers_over_http2(edge: Edge) -> None:
    answer = edge.get("/v1/items?page=2", "--http2")
    assert (answer.status, answer.version) == (200, "HTTP/2")
    assert answer.json["uri"] == "/v1/items?page=2"
    assert_hardened(answer)


def test_a_client_is_told_how_many_requests_a_connection_may_have_open(edge: Edge) -> None:
    context = edge.context()
    context.set_alpn_protocols(["h2"])
    most_streams = 3
    with edge.connect(context=context) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        received = connection.recv(4096)
    length, kind = int.from_bytes(received[:3], "big"), received[3]
    assert kind == SETTINGS, "the first frame is no SETTINGS"
    assert dict(struct.iter_unpack(">HI", received[9 : 9 + length]))[most_streams] == 32


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions_of_today(edge: Edge, version: ssl.TLSVersion) -> None:
    context = edge.context()
    context.minimum_version = context.maximum_version = version
    with edge.connect(context=context) as connection:
        assert str(connection.version()).replace(".", "_") == version.name


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_versions_of_yesterday(edge: Edge) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="protocol version"):
        edge.connect(context=context)


@pytest.mark.parametrize("client", ["app-12", "app-13"])
def test_each_client_gets_a_certificate_that_it_knows(edge: Edge, client: str) -> None:
    argv = ["openssl", "s_client", "-connect", f"{edge.address}:443", "-servername", edge.lab.domain]
    argv += ["-verify_return_error", "-CAfile", "/etc/hardened/pki/ca.crt"]

    def served(*options: str) -> str:
        said = edge.lab.run(client, *argv, *options)
        certificate = said[said.index("-----BEGIN CERT") :].partition("\n---\n")[0]
        return type(x509.load_pem_x509_certificate(certificate.encode()).public_key()).__name__

    for options in (("-tls1_3",), ("-tls1_2",)):
        assert served(*options) == "ECPublicKey", options
    assert served("-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256:rsa_pkcs1_sha256") == "RSAPublicKey"
    assert served("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256") == "RSAPublicKey"
    assert served("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") == "ECPublicKey"


@pytest.mark.parametrize("name", ["other.example", "localhost"])
def test_unknown_name_gets_no_handshake(edge: Edge, name: str) -> None:
    with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME|unrecognized name"):
        edge.connect(name)


def test_bare_address_gets_no_handshake(edge: Edge) -> None:
    # An address is not sent as a name.
    with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME|unrecognized name"):
        edge.connect(edge.address)


def test_right_handshake_for_another_host(edge: Edge) -> None:
    assert_error(edge.get("/", "-H", "Host: other.example"), 421, "misdirected_request")


def test_plain_http_redirects(edge: Edge) -> None:
    answer = edge.get("/v1/items?page=2", "-H", "Host: other.example", scheme="http")
    assert answer.status == 301
    # Never to where the client says.
    assert answer.header("location") == f"https://{edge.lab.domain}/v1/items?page=2"
    assert_hardened(answer, tls=False)


def test_errors_of_the_application(edge: Edge) -> None:
    missing = edge.get("/status/404")
    assert (missing.status, missing.json) == (404, {"error": {"code": "not_found"}})
    assert_hardened(missing)
    busy = edge.get("/status/503")
    assert (busy.status, busy.header("retry-after")) == (503, "30")
    assert_hardened(busy)


def test_errors_of_the_edge(edge: Edge) -> None:
    host = f"Host: {edge.lab.domain}\r\n".encode()
    assert_error(edge.get("/", "-X", "TRACE"), 405, "method_not_allowed")
    assert_error(edge.get("/", "-H", "Content-Length: 1048577", "-d", "x"), 413, "content_too_large")
    assert_error(edge.get("/" + "a" * 9000, "--http1.1"), 414, "uri_too_long")
    assert_error(
        edge.get("/", "--http1.1", "-H", "X-Large: " + "a" * 9000), 431, "request_header_fields_too_large"
    )
    assert_error(edge.raw(b"NONSENSE\r\n\r\n"), 400, "bad_request")
    assert_error(edge.raw(b"GET / HTTP/4.0\r\n" + host + b"\r\n"), 505, "http_version_not_supported")
    assert_error(edge.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "bad_request")
    smuggled = host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    assert_error(edge.raw(b"POST / HTTP/1.1\r\n" + smuggled + b"\r\n0\r\n\r\n"), 400, "bad_request")


LISTED = ("-H", "Origin: https://console.lab.internal")


def test_the_applications_cors_is_left_alone(edge: Edge) -> None:
    asked = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT")
    for options in (LISTED, (*LISTED, *asked)):
        answer = edge.get("/cors", *options)
        assert answer.header("access-control-allow-origin") == "https://of-the-application.example"
        assert answer.header("access-control-allow-methods") == "PURGE"
        assert answer.header("vary") == "Accept, Origin"
    # Where it says nothing, nothing is said.
    for path in ("/", "/status/403", "/status/404"):
        assert "access-control-allow-origin" not in edge.get(path, *LISTED).headers


def test_pages_of_listed_origins_can_read_the_edges_errors(edge: Edge) -> None:
    attack = "/?q=%3Cscript%3Ealert(1)%3C/script%3E"
    large = ("-H", "Content-Length: 1048577", "-d", "x")
    for path, status, options in (("/", 413, large), ("/admin/keys", 403, ()), (attack, 403, ())):
        answer = edge.get(path, *LISTED, *options)
        assert (answer.status, answer.header("access-control-allow-origin")) == (status, LISTED[1][8:])
        assert answer.header("access-control-expose-headers") == "X-Request-ID, Retry-After"
        stranger = edge.get(path, "-H", LISTED[1] + ".evil.example", *options)
        assert (stranger.status, stranger.header("vary")) == (status, "Origin")
        assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.usefixtures("no_release")
def test_no_release_yet(edge: Edge) -> None:
    answer = edge.get("/", "-X", "POST", "-d", "{}")
    assert_error(answer, 503, "service_unavailable")
    assert answer.header("retry-after") == "5"


def test_security_contacts_are_published(edge: Edge) -> None:
    answer = edge.get("/.well-known/security.txt")
    assert (answer.status, answer.header("content-type")) == (200, "text/plain")
    expires = re.search(r"^Expires: (\d{4}-\d\d-01)T00:00:00Z$", answer.body.decode(), re.M)
    assert expires and expires[1] > time.strftime("%Y-%m-%d", time.gmtime())
    assert answer.body.decode().splitlines() == [
        "Contact: mailto:security@example.com",
        "Contact: https://example.com/security",
        expires[0],
        f"Canonical: https://{edge.lab.domain}/.well-known/security.txt",
    ]
    assert_hardened(answer)


@pytest.mark.parametrize(
    "path",
    ["/admin/keys", "/admin/", "//admin/keys", "/x/../admin/keys", "/x/..%2fadmin/keys", "/%61dmin/keys"],
)
def test_restricted_paths_are_for_some_networks(edge: Edge, path: str) -> None:
    assert_error(edge.get(path), 403, "forbidden")


@pytest.mark.parametrize("path", ["/admin", "/administration", "/internal", "/internal/more"])
def test_other_paths_are_for_everybody(edge: Edge, path: str) -> None:
    assert edge.get(path).status == 200


@pytest.fixture
def closed(edge: Edge) -> Iterator[None]:
    record = "/var/lib/hardened/edge/maintenance.json"
    edge.lab.run(edge.name, "touch", record)
    yield
    edge.lab.run(edge.name, "rm", record)


@pytest.mark.usefixtures("closed")
def test_closed_for_maintenance(edge: Edge) -> None:
    for path in ("/", "/v1/items", "/admin/keys"):
        answer = edge.get(path, "-X", "POST", "-d", "{}")
        assert_error(answer, 503, "maintenance")
        assert answer.header("retry-after") == "300"
    assert [edge.get(path).status for path in ("/healthz", "/readyz")] == [200, 200]


def test_open_again(edge: Edge) -> None:
    assert edge.get("/").status == 200
    assert_error(edge.get("/hardened-maintenance"), 404, "not_found")


def test_request_id_is_the_edges(edge: Edge) -> None:
    answer = edge.get("/", "-H", "X-Request-ID: chosen-by-the-client")
    assert answer.json["x_request_id"] == answer.header("x-request-id") != "chosen-by-the-client"


def test_nothing_said_about_the_origin_is_believed(edge: Edge) -> None:
    names = (
        "X-Forwarded-For: ",
        "X-Real-IP: ",
        "X-Forwarded-Proto: ",
        "X-Forwarded-Host: ",
        "Forwarded: for=",
    )
    lies = [f"{name}6.6.6.6" for name in names]
    seen = edge.get("/", *(option for lie in lies for option in ("-H", lie))).json
    me = edge.address.rpartition(".")[0] + ".1"
    assert (seen["x_forwarded_for"], seen["x_real_ip"], seen["forwarded"]) == (me, me, "")
    assert (seen["x_forwarded_proto"], seen["x_forwarded_host"]) == ("https", edge.lab.domain)


# Runs on an app host, an ordinary client: more requests than an address may make.
BURST = """
import concurrent.futures, http.client, json, socket, ssl, sys
address, domain, path, key, workers, each = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
def ask(_):
    connection = http.client.HTTPSConnection(domain, context=context, timeout=20)
    connection._create_connection = lambda *a, **k: socket.create_connection((address, 443), 20)
    found = []
    for _ in range(int(each)):
        connection.request("GET", path, headers={"X-API-Key": key} if key else {})
        response = connection.getresponse()
        body = response.read()
        headers = {}
        for name, value in response.getheaders():
            headers.setdefault(name.lower(), []).append(value)
        found.append((response.status, headers, body.decode()))
    return found
with concurrent.futures.ThreadPoolExecutor(int(workers)) as pool:
    answers = [answer for found in pool.map(ask, range(int(workers))) for answer in found]
refused = [answer for answer in answers if answer[0] == 429]
print(json.dumps({"statuses": [answer[0] for answer in answers], "refused": refused[:1]}))
"""


def burst(edge: Edge, path: str, key: str, workers: int, each: int, host: str = "app-12") -> dict[str, Any]:
    given = (edge.address, edge.lab.domain, path, key, str(workers), str(each))
    found: dict[str, Any] = json.loads(edge.lab.run(host, "python3", "-c", BURST, *given))
    return found


def test_parts_of_the_api_are_limited_further(edge: Edge) -> None:
    # Of its own zone, an address has the burst and one more.
    statuses = burst(edge, "/login", "", 2, 6, host="app-13")["statuses"]
    assert (statuses.count(200), statuses.count(429)) == (5, 7)


def test_a_key_is_limited_whoever_uses_it(edge: Edge) -> None:
    time.sleep(3)
    key = f"k{time.time_ns() % 1000:03}.secret"
    statuses = [
        status
        for host in ("app-12", "app-13")
        for status in burst(edge, "/", key, 2, 9, host=host)["statuses"]
    ]
    # Fewer than one address alone may make.
    assert 16 <= statuses.count(200) < 34 and 429 in statuses


def test_the_log_tells_whose_key_it_was(edge: Edge) -> None:
    answer = edge.get("/", "-H", "X-API-Key: abcd1234.hunter2hunter2")
    (line,) = edge.access_log(answer.header("x-request-id"))
    assert line["key_id"] == "abcd1234" and "hunter2" not in json.dumps(line)
    answer = edge.get("/", "-H", "X-API-Key: hunter2hunter2")
    assert [line["key_id"] for line in edge.access_log(answer.header("x-request-id"))] == [""]


def test_bursts_are_limited(edge: Edge) -> None:
    result = burst(edge, "/", "", 8, 30)
    assert set(result["statuses"]) == {200, 429}
    assert result["statuses"].count(200) >= 40
    status, headers, body = result["refused"][0]
    answer = edge.get("/")  # nobody else suffers, and the machine that tests is exempt
    assert answer.status == 200
    refused = type(answer)(status, headers, body.encode())
    assert_error(refused, 429, "too_many_requests")
    assert refused.header("retry-after") == "1"


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (b"GET / HTTP/1.1\r\nHost: %s\r\n", b"X-Slow: 1\r\n"),
        (b"POST /write HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n", b""),
        (b"", b""),
    ],
    ids=["header", "body", "silence"],
)
def test_slow_clients_are_cut_off(edge: Edge, start: bytes, drip: bytes) -> None:
    with edge.connect() as connection:
        connection.settimeout(1)
        connection.sendall(start % edge.lab.domain.encode() if start else start)
        began = time.monotonic()
        while time.monotonic() - began < 40:
            try:
                if drip:
                    connection.sendall(drip)
                if not connection.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert 5 < time.monotonic() - began < 25


def test_status_is_the_hosts_own(edge: Edge) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((edge.address, 8081), 5)
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    assert '"status":"ok"' in edge.lab.run(edge.name, "python3", "-c", fetch, "http://127.0.0.1:8081/healthz")
    assert "Active connections" in edge.lab.run(
        edge.name, "python3", "-c", fetch, "http://127.0.0.1:8081/status"
    )


def test_log_is_json_without_queries(edge: Edge) -> None:
    answer = edge.get('/v1/items?token=hunter2"', "-A", 'a "quoted" agent')
    (line,) = edge.access_log(answer.header("x-request-id"))
    wanted = {"event": "request", "method": "GET", "path": "/v1/items", "status": 200, "slot": "blue"}
    wanted |= {
        "client": edge.address.rpartition(".")[0] + ".1",
        "user_agent": 'a "quoted" agent',
        "tls": "TLSv1.3",
    }
    wanted |= {"protocol": "HTTP/2.0", "upstream_status": "200"}
    assert {name: line[name] for name in wanted} == wanted
    assert line["backend"].split(":")[0] in edge.lab.addresses.values()
    assert line["seconds"] >= 0 and "hunter2" not in json.dumps(line)


def test_a_large_log_is_begun_anew(edge: Edge) -> None:
    log = "/var/log/nginx/access.jsonl"
    before = edge.get("/").header("x-request-id")
    edge.access_log(before)
    edge.lab.run(edge.name, "sh", "-c", f"yes '{{}}' | head -c 130M >> {log}")
    deadline = time.monotonic() + 30
    while not edge.lab.run(edge.name, "find", log, "-size", "-1000k", check=False).startswith(log):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert before in edge.lab.run(edge.name, "grep", "-F", before, f"{log}.1")
    edge.access_log(edge.get("/").header("x-request-id"))
    for path in (log, f"{log}.1"):
        assert edge.lab.run(edge.name, "stat", "-c", "%a %G", path).strip() == "660 adm"
    edge.lab.run(edge.name, "truncate", "--size=0", f"{log}.1")
    # What was opened anew belongs to another user, in nginx's way.
    edge.lab.run(edge.name, "systemctl", "restart", "nginx.service")
    edge.access_log(edge.get("/").header("x-request-id"))
    edge.lab.run(edge.name, "systemctl", "restart", "hardened-edge-log.service")
    time.sleep(1)
    units = ("nginx.service", "hardened-edge-log.service")
    assert edge.lab.run(edge.name, "systemctl", "is-active", *units).split() == ["active", "active"]


def test_nginx_has_nothing_to_say(edge: Edge) -> None:
    said = edge.lab.run(edge.name, "nginx", "-t", "-q").splitlines()
    # The firewall says how many rules it has.
    assert [line for line in said if "[notice]" not in line or "rules loaded" not in line] == []

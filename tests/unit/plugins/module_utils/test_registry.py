# SPDX-License-Identifier: GPL-3.0-or-later
"""A small registry behind real TLS, and each way in which it can refuse."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.registry import Access, inspect
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_MANIFEST = b'{"schemaVersion": 2}'
_DIGEST = "sha256:" + hashlib.sha256(_MANIFEST).hexdigest()
_TYPE = "application/vnd.oci.image.manifest.v1+json"
_BASIC = "Basic " + base64.b64encode(b"reader:zebra").decode()


def _digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _holding(content: bytes, media_type: str, claimed: str = "") -> bytes:
    layer = {"mediaType": media_type, "size": len(content), "digest": claimed or _digest_of(content)}
    other = {"mediaType": "text/plain", "size": 1, "digest": "sha256:" + "d" * 64}
    return json.dumps({"layers": [{**layer, "annotations": {"a": "b"}}, other]}).encode()


_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IN_BUNDLE = _holding(b"bundle", _BUNDLE)
_TAG = _DIGEST.replace(":", "-")
# What the paths /signed/ and /forged/ have, by the last part of the address.
_BESIDE = {
    "1.0": _MANIFEST,
    _TAG + ".sig": _holding(b"payload", _SIMPLE),
    _TAG + ".att": _holding(b"x" * 10, "application/vnd.dsse.envelope.v1+json").replace(
        b'"size": 10', b'"size": 5000000'
    ),
    _TAG: json.dumps({"manifests": [{"digest": _digest_of(_IN_BUNDLE)}]}).encode(),
    _digest_of(_IN_BUNDLE): _IN_BUNDLE,
    _digest_of(b"payload"): b"payload",
    _digest_of(b"bundle"): b"bundle",
}


class _Registry(NamedTuple):
    name: str
    ca: str


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path, _question, query = self.path.partition("?")
        sent = self.headers.get("Authorization", "")
        if path == "/token":
            allowed = sent == _BASIC or "public" in query
            self._send(200 if allowed else 401, json.dumps({"token": "t"}).encode())
        elif "/basic/" in path and sent != _BASIC:
            self._send(401, challenge='Basic realm="r"')
        elif ("/bearer/" in path or "/public/" in path) and sent != "Bearer t":
            realm = f"https://{self.headers['Host']}/token"
            self._send(401, challenge=f'Bearer realm="{realm}",service="s",scope="repository:{path}:pull"')
        elif "/busy/" in path:
            self._send(503)
        elif "/away/" in path:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
        elif "/signed/" in path or "/forged/" in path:
            name = path.rpartition("/")[2]
            self._send(200 if name in _BESIDE else 404, _BESIDE.get(name, b"") if body else b"")
        elif path.endswith(("/manifests/1.0", "/manifests/" + _DIGEST)):
            silent = "/silent/" in path
            self._send(200, _MANIFEST if body else b"", digest="" if silent else _DIGEST)
        elif "/lying/" in path:
            self._send(200, digest="sha256:" + "b" * 64)
        else:
            self._send(404)

    def _send(self, status: int, body: bytes = b"", challenge: str = "", digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", _TYPE)
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Registry]:
    directory = tmp_path_factory.mktemp("registry")
    pem = _certificate(directory / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield _Registry(f"127.0.0.1:{server.server_address[1]}", pem)
    server.shutdown()
    server.server_close()


def _certificate(path: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    clear = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(clear + pem)
    return pem.decode()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "image", ["api:1.0", f"api@{_DIGEST}", f"api:gone@{_DIGEST}", "silent/api:1.0", "public/api:1.0"]
)
def test_found(registry: _Registry, image: str) -> None:
    result = inspect(f"{registry.name}/{image}", Access(ca_content=registry.ca))
    assert result == {"exists": True, "digest": _DIGEST, "media_type": _TYPE, "problems": []}


def test_what_lies_beside_an_image(registry: _Registry) -> None:
    result = inspect(f"{registry.name}/signed/api:1.0", Access(ca_content=registry.ca), evidence=True)
    assert result["problems"] == []
    kept = [(item["media_type"], base64.b64decode(item["content"])) for item in result["evidence"]]
    # What is too large is named, and not carried.
    large = ("application/vnd.dsse.envelope.v1+json", b"")
    assert kept == [(_SIMPLE, b"payload"), large, (_BUNDLE, b"bundle")]
    assert result["evidence"][0]["annotations"] == {"a": "b"}


def test_nothing_beside_an_image(registry: _Registry) -> None:
    result = inspect(f"{registry.name}/api:1.0", Access(ca_content=registry.ca), evidence=True)
    assert (result["problems"], result["evidence"]) == ([], [])


@pytest.mark.parametrize(
    "beside",
    [
        b"no JSON",
        b"[]",
        b'{"layers": [{"mediaType": 1}]}',
        b'{"layers": 7}',
        _holding(b"payload", _SIMPLE, claimed=_digest_of(b"bundle")).replace(
            b'"size": 7', b'"size": "seven"'
        ),
    ],
)
def test_what_is_no_signature_is_a_problem(
    registry: _Registry, monkeypatch: pytest.MonkeyPatch, beside: bytes
) -> None:
    monkeypatch.setitem(_BESIDE, _TAG + ".sig", beside)
    result = inspect(f"{registry.name}/forged/api:1.0", Access(ca_content=registry.ca), evidence=True)
    assert [problem["code"] for problem in result["problems"]] == ["IMAGE_SIGNATURE"]


def test_content_that_is_not_what_its_digest_says(
    registry: _Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_BESIDE, _digest_of(b"payload"), b"another")
    result = inspect(f"{registry.name}/forged/api:1.0", Access(ca_content=registry.ca), evidence=True)
    assert [problem["code"] for problem in result["problems"]] == ["IMAGE_SIGNATURE"]


@pytest.mark.parametrize("repository", ["basic/api", "bearer/api"])
def test_credentials(registry: _Registry, repository: str) -> None:
    image = f"{registry.name}/{repository}:1.0"
    good = Access(ca_content=registry.ca, username="reader", password="zebra")
    assert inspect(image, good)["exists"]
    assert _code(image, Access(ca_content=registry.ca)) == "DENIED"
    bad = Access(ca_content=registry.ca, username="reader", password="wrong")
    assert _code(image, bad) == "DENIED"


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("api:2.0", "IMAGE_MISSING"),
        ("api@sha256:" + "c" * 64, "IMAGE_MISSING"),
        ("lying/api@sha256:" + "c" * 64, "IMAGE_MISSING"),
        ("busy/api:1.0", "REGISTRY_UNREACHABLE"),
        ("away/api:1.0", "REGISTRY_UNREACHABLE"),
        ("Api:1.0", "IMAGE_REFERENCE"),
    ],
)
def test_refused(registry: _Registry, image: str, code: str) -> None:
    assert _code(f"{registry.name}/{image}", Access(ca_content=registry.ca)) == code


def test_untrusted_certificate(registry: _Registry) -> None:
    assert _code(f"{registry.name}/api:1.0", Access()) == "REGISTRY_TLS"


def test_no_such_ca_file(registry: _Registry) -> None:
    assert _code(f"{registry.name}/api:1.0", Access(ca_file="/nonexistent.crt")) == "REGISTRY_TLS"


def test_nobody_listens() -> None:
    assert _code("127.0.0.1:1/api:1.0", Access()) == "REGISTRY_UNREACHABLE"


def test_no_such_name() -> None:
    assert _code("registry.invalid/api:1.0", Access(timeout=5)) == "REGISTRY_UNRESOLVED"


def test_silence_costs_the_timeout() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/api:1.0"
        assert _code(image, Access(timeout=0.3)) == "REGISTRY_UNREACHABLE"


def _code(image: str, access: Access) -> str:
    result = inspect(image, access)
    assert not result["exists"] and "zebra" not in str(result)
    return str(result["problems"][0]["code"])

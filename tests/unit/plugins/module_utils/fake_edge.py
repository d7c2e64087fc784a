# SPDX-License-Identifier: GPL-3.0-or-later
"""An edge on the loopback, with real TLS, that can be made wrong in one way at a time."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DOMAIN = "api.example.test"
HEADERS = {"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff"}
_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


class Authority:
    """Issues a certificate for a name, into one PEM file with its key."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {uuid.uuid4().hex[:6]}")])
        self.file = directory / "ca.crt"
        made = self._build(self._name, self._key.public_key(), 30, ca=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str = DOMAIN, days: int = 30) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._build(subject, key.public_key(), days, names=[x509.DNSName(name)])
        path = self._directory / f"{uuid.uuid4().hex}.pem"
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
        return str(path)

    def _build(
        self,
        subject: x509.Name,
        key: Any,
        days: int,
        *,
        names: list[x509.GeneralName] | None = None,
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days, hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        if ca:
            usage = dict.fromkeys(
                "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
                " encipher_only decipher_only".split(),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True
            )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class Behaviour:
    """All as it should be, unless told otherwise."""

    certificate: str
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    protocols: tuple[str, ...] = ("h2", "http/1.1")
    speaks_http2: bool = True
    refuses_unknown_names: bool = True
    server: str = "nginx"
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    headers_on_errors: bool = True
    twice: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    request_ids: str = "unique"
    statuses: dict[str, int] = field(default_factory=dict)
    error_body: bytes = b'{"error": "x"}'
    allowed_requests: int = 20
    over_limit: int = 429
    redirect: tuple[int, str] = (308, "https://{host}{path}")


class FakeEdge:
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests = 0
        # What to do with the id of each request.
        self.log: Callable[[str], None] = lambda _request_id: None
        self._lock = threading.Lock()
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _port in range(2)]
        self.port, self.http_port = (listener.getsockname()[1] for listener in self._listeners)
        self._context = self._tls()
        for listener, serve in zip(self._listeners, (self._serve_tls, self._serve_plain), strict=True):
            threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def over_limit(self) -> bool:
        with self._lock:
            self.requests += 1
            return self.requests > self.behaviour.allowed_requests

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.behaviour.certificate)
        if self.behaviour.oldest < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = self.behaviour.oldest, self.behaviour.newest
        context.set_alpn_protocols(list(self.behaviour.protocols))
        if self.behaviour.refuses_unknown_names:
            context.sni_callback = lambda _connection, name, _context: (
                None if name == DOMAIN else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            )
        return context

    def _accept(self, listener: socket.socket, serve: Any) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def _serve_tls(self, plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            self._context.wrap_socket(plain, server_side=True) as secure,
        ):
            if secure.selected_alpn_protocol() == "h2":
                secure.recv(33)
                secure.sendall(_SETTINGS if self.behaviour.speaks_http2 else b"HTTP/1.1 400 \r\n\r\n")
                return
            _Handler(secure, self)

    def _serve_plain(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            _Plain(plain, self)


class _Base(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def __init__(self, connection: socket.socket, edge: FakeEdge) -> None:
        self.edge = edge
        super().__init__(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def version_string(self) -> str:
        return self.edge.behaviour.server


class _Plain(_Base):
    def do_GET(self) -> None:
        status, location = self.edge.behaviour.redirect
        self.send_response(status)
        self.send_header("Location", location.format(host=f"{DOMAIN}:{self.edge.port}", path=self.path))
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Handler(_Base):
    def do_GET(self) -> None:
        behaviour = self.edge.behaviour
        default = {"/healthz": 200, "/readyz": 200, "/v1/items": 401, "/admin/keys": 403}
        unknown = 403 if "%20or%20" in self.path else 404
        status = behaviour.statuses.get(self.path) or default.get(self.path, unknown)
        if self.edge.over_limit():
            status = behaviour.over_limit
        body = b"{}" if status == 200 else behaviour.error_body
        self.send_response(status)
        if status == 200 or behaviour.headers_on_errors:
            for name, value in behaviour.headers.items():
                self.send_header(name, value)
        if behaviour.twice:
            self.send_header(behaviour.twice, behaviour.headers[behaviour.twice])
        for name, value in behaviour.extra.items():
            self.send_header(name, value)
        if behaviour.request_ids != "none":
            given = uuid.uuid4().hex if behaviour.request_ids == "unique" else behaviour.request_ids
            self.edge.log(given)
            self.send_header("X-Request-ID", given)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@contextlib.contextmanager
def edge(behaviour: Behaviour) -> Iterator[FakeEdge]:
    fake = FakeEdge(behaviour)
    try:
        yield fake
    finally:
        fake.close()

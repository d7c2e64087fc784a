# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that an edge refuses: put there, taken away, never kept, and asked for."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host

SECRET = "0123456789abcdef.hunter2hunter2"  # pragma: allowlist secret
PATTERN = "^([0-9a-f]{16})[.]"
KEY_ID = SECRET.partition(".")[0]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    path = tmp_path / "edge" / "revoked"
    path.parent.mkdir()
    return Host("credential_revocation", path)


def names(host: Host) -> list[str]:
    return sorted(path.name for path in host.path.glob("*"))


def test_refused_and_admitted(host: Host) -> None:
    hashed = f"sha256-{hashlib.sha256(SECRET.encode()).hexdigest()}"
    done = host.call(key_ids=[KEY_ID], credentials=[SECRET], reason="found", by="me")
    assert done["changed"] and names(host) == [f"id-{KEY_ID}", hashed]
    assert [entry["reason"] for entry in done["revoked"]] == ["found", "found"]
    kept = "".join(path.read_text() for path in host.path.glob("*"))
    assert SECRET not in kept and SECRET not in str({**done, "invocation": None})
    again = host.call(key_ids=[KEY_ID], reason="again")
    assert not again["changed"] and again["revoked"] == done["revoked"]
    assert len(host.call()["lines"]) == 2
    assert host.call(key_ids=[KEY_ID], state="absent")["changed"]
    assert names(host) == [hashed]
    host.call(credentials=[SECRET], state="absent")
    # As long as it is there, every request is looked at.
    assert not host.path.exists()
    events = [(entry["event"], entry["credential"]) for entry in host.audit]
    assert events[2:] == [("credential_admitted", f"id-{KEY_ID}"), ("credential_admitted", hashed)]


def test_a_plan_changes_nothing(host: Host) -> None:
    planned = host.call(check=True, key_ids=[KEY_ID], reason="found")
    assert planned["changed"] and KEY_ID in planned["diff"]["after"]
    assert not host.path.exists() and host.audit == []


def test_all_that_is_wrong_is_told_at_once(host: Host) -> None:
    refused = host.call(key_ids=["../../etc"], credentials=[" x"])
    assert refused["failed"] and len(refused["problems"]) == 3
    assert not host.path.exists()


class Edge(BaseHTTPRequestHandler):
    """Refuses as nginx does, or not."""

    refuses = True
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("X-API-Key") or self.headers["Authorization"])
        self.send_response(401)
        if self.refuses:
            self.send_header("WWW-Authenticate", 'Bearer error="invalid_token", error_description="revoked"')
        self.end_headers()

    def log_message(self, *_words: Any) -> None:
        """Quietly."""


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[int, type[Edge]]]:
    certificate = tmp_path / "edge.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-subj", "/CN=api.test", "-keyout", str(certificate), "-out", str(tmp_path / "crt")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + (tmp_path / "crt").read_text())
    handler = type("One", (Edge,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, handler
    server.shutdown()
    server.server_close()


def test_the_edge_is_asked(host: Host, edge: tuple[int, type[Edge]]) -> None:
    port, handler = edge
    where: dict[str, Any] = {
        "domain": "api.test",
        "port": port,
        "headers": ["X-API-Key", "Authorization"],
        "reason": "found",
    }
    done = host.call(key_ids=[KEY_ID], key_id_pattern=PATTERN, **where)
    assert done["proven"] == 2 and handler.asked == [f"{KEY_ID}.x", f"Bearer {KEY_ID}.x"]
    handler.refuses = False
    failed = host.call(credentials=[SECRET], **where)
    assert failed["failed"] and "the edge answers 401" in failed["msg"]
    # That it is not refused yet is no reason to forget it.
    assert failed["changed"] and len(names(host)) == 2

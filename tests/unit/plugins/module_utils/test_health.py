# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is well, asked of servers that answer, and of some that do not."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import health


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(
            200 if self.path == "/readyz" and self.headers["Host"] == "api.example.com" else 503
        )
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Unix(socketserver.UnixStreamServer):
    def get_request(self) -> tuple[Any, Any]:
        return self.socket.accept()[0], ("", 0)


@pytest.fixture
def port() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


def run(command: Sequence[str]) -> tuple[int, str]:
    """A host with one unit that is up, one that is not, and one that has failed."""
    if command[1] == "is-active":
        return 3, "".join(f"{'inactive' if unit == 'down.service' else 'active'}\n" for unit in command[2:])
    if command[1] == "list-units":
        return 0, "broken.service loaded failed failed Broken\n"
    return (2, "no response") if command[0] == "pg_isready" else (0, "")


def problems(slots: dict[str, str], record: Path, **more: Any) -> list[str]:
    options: dict[str, Any] = {"units": [], "commands": [], "known_failed": ["broken.service"], **more}
    return health.problems(
        run,
        options["units"],
        options["commands"],
        slots,
        "/readyz",
        "api.example.com",
        options["known_failed"],
        record=record,
    )


def test_units_commands_and_what_has_failed_since(tmp_path: Path) -> None:
    found = problems(
        {},
        tmp_path / "none",
        units=["up.service", "down.service"],
        commands=[["pg_isready", "-q"]],
        known_failed=[],
    )
    assert found == ["down.service is inactive", "pg_isready -q: no response", "broken.service has failed"]
    assert problems({}, tmp_path / "none", units=["up.service"]) == []


def test_the_slot_that_serves_is_asked(tmp_path: Path, port: str) -> None:
    record = tmp_path / "release.json"
    slots = {"blue": port, "green": "1"}
    # Without a record any that answers will do.
    assert problems(slots, record) == []
    record.write_text(json.dumps({"slot": "blue"}))
    assert problems(slots, record) == []
    record.write_text(json.dumps({"slot": "green"}))
    assert "slot green at /readyz: no answer" in problems(slots, record)[0]
    record.write_text("nonsense")
    assert problems(slots, record) == [f"{record} cannot be read"]


def test_a_slot_behind_a_socket_is_asked(tmp_path: Path) -> None:
    path = str(tmp_path / "blue.sock")
    with Unix(path, Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert problems({"blue": path}, tmp_path / "none") == []
        server.shutdown()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A small engine behind a real socket, and what can go wrong with it."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.engine_api import Engine, EngineProblem
from ansible_collections.techsaas.hardened.plugins.modules.image_prune import needed, superfluous

DIGEST = "sha256:" + "1" * 64
HELD = f"r:5000/api@{DIGEST}"


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def address_string(self) -> str:
        return "socket"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"{}") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/images/json":
            self._answer(200, json.dumps([{"RepoDigests": [HELD]}]).encode())
        else:
            self._answer(
                200 if path.endswith(f"{HELD}/json".replace(":", "%3A").replace("@", "%40")) else 404
            )

    def do_POST(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.server.seen.append((asked, self.headers.get("X-Registry-Auth")))
        if asked["fromImage"] == ["r:5000/gone"]:
            self._answer(404, b'{"message": "manifest unknown"}')
        elif asked["fromImage"] == ["r:5000/torn"]:
            # As the engine does: all is well, until it is not.
            self._answer(200, b'{"status": "Pulling"}\r\n{"error": "unexpected EOF", "errorDetail": {}}\r\n')
        else:
            self._answer(200, b'{"status": "Pulling"}\r\n{"status": "Downloaded"}\r\n')

    def do_DELETE(self) -> None:
        self._answer({"used": 409, "gone": 404, "broken": 500}.get(self.path.rpartition("/")[2], 200))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    server: Any = socketserver.ThreadingUnixStreamServer(str(tmp_path / "engine.sock"), _Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_what_is_there(server: Any) -> None:
    engine = Engine(server.server_address)
    assert engine.has_image(HELD)
    assert not engine.has_image("r:5000/other@" + DIGEST)
    assert engine.images() == [{"RepoDigests": [HELD]}]


def test_a_pull_names_the_digest_and_keeps_credentials_to_a_header(server: Any) -> None:
    engine = Engine(server.server_address)
    engine.pull("r:5000/api", DIGEST)
    engine.pull("r:5000/api", DIGEST, "reader", "zebra")
    (plain, nothing), (asked, header) = server.seen
    assert plain == asked == {"fromImage": ["r:5000/api"], "tag": [DIGEST]}
    assert nothing is None
    assert json.loads(base64.urlsafe_b64decode(header)) == {
        "username": "reader",
        "password": "zebra",  # pragma: allowlist secret
        "serveraddress": "r:5000",
    }


@pytest.mark.parametrize(
    ("repository", "words"), [("r:5000/gone", "manifest unknown"), ("r:5000/torn", "unexpected EOF")]
)
def test_a_pull_that_fails_says_why(server: Any, repository: str, words: str) -> None:
    with pytest.raises(EngineProblem, match=words):
        Engine(server.server_address).pull(repository, DIGEST)


def test_removing(server: Any) -> None:
    engine = Engine(server.server_address)
    assert engine.remove_image("r/any")
    assert not engine.remove_image("used")
    assert not engine.remove_image("gone")
    with pytest.raises(EngineProblem, match="500"):
        engine.remove_image("broken")


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineProblem, match=r"does not answer on .*/none"):
        Engine(str(tmp_path / "none")).images()


# --- which images go ---


def _image(number: int, name: str = "api", tag: str = "") -> str:
    return f"r:5000/{name}{tag}@sha256:" + f"{number:x}" * 64


def test_images_of_the_record_and_of_the_slots_stay(tmp_path: Path) -> None:
    bundle: dict[str, Any] = {"slot": "blue", "release": "r", "promoted_at": "now"}
    record: dict[str, Any] = {
        **bundle,
        "image": _image(1, tag=":1.0"),
        "previous": {**bundle, "image": _image(2)},
        "history": [{**bundle, "image": _image(3)}],
    }
    (tmp_path / "release.json").write_text(json.dumps(record))
    (tmp_path / "slot-green.json").write_text(json.dumps({"image": _image(4)}))
    kept = needed(tmp_path)
    assert kept == {_image(number) for number in (1, 2, 3, 4)}
    there = [*kept, _image(5), _image(6, "other")]
    assert superfluous([{"RepoDigests": [name]} for name in there] + [{"RepoDigests": None}], kept) == [
        _image(5)
    ]


def test_before_the_first_release_nothing_goes(tmp_path: Path) -> None:
    assert needed(tmp_path) == set()
    assert superfluous([{"RepoDigests": [_image(1)]}], set()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"image": "api"}'])
def test_a_damaged_record_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "release.json").write_text(text)
    with pytest.raises(ValueError):
        needed(tmp_path)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine's own interface (Docker Engine API) over its socket, for what its client would need files or arguments for."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode

SOCKET = "/var/run/docker.sock"
# Of a large image over a slow line; between two signs of life from the engine, not for the whole.
TIMEOUT = 300.0


class EngineProblem(Exception):
    """What the engine says, or that it does not answer."""


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    def has_image(self, reference: str) -> bool:
        return self._ask("GET", f"/images/{quote(reference)}/json")[0] == 200

    def pull(self, repository: str, target: str, username: str = "", password: str = "") -> None:
        """`target` is a digest or a tag. The credentials go to the engine in a header, and are kept nowhere."""
        headers = {}
        if username:
            words = {
                "username": username,
                "password": password,
                "serveraddress": repository.partition("/")[0],
            }
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(words).encode()).decode()
        query = urlencode({"fromImage": repository, "tag": target})
        status, body = self._ask("POST", f"/images/create?{query}", headers)
        # The answer begins before the work, so a failure is in what follows.
        said = [line["error"] for line in _lines(body) if "error" in line]
        if status != 200 or said:
            raise EngineProblem(said[-1] if said else _message(body) or f"the engine answers {status}")

    def images(self) -> list[dict[str, Any]]:
        status, body = self._ask("GET", "/images/json?digests=1")
        if status != 200:
            raise EngineProblem(_message(body) or f"the engine answers {status}")
        loaded: list[dict[str, Any]] = json.loads(body)
        return loaded

    def image_id(self, reference: str) -> str:
        """What the engine calls the image that it has under this name; nothing if it has none."""
        status, body = self._ask("GET", f"/images/{quote(reference)}/json")
        return str(json.loads(body)["Id"]) if status == 200 else ""

    def container(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container; nothing if there is none of this name."""
        status, body = self._ask("GET", f"/containers/{quote(name)}/json")
        if status not in (200, 404):
            raise EngineProblem(_message(body) or f"the engine answers {status}")
        loaded: dict[str, Any] = json.loads(body) if status == 200 else {}
        return loaded

    def remove_image(self, reference: str) -> bool:
        """False when a container still needs it."""
        status, body = self._ask("DELETE", f"/images/{quote(reference)}")
        if status not in (200, 404, 409):
            raise EngineProblem(_message(body) or f"the engine answers {status}")
        return status == 200

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        connection = _Connection(self._path)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise EngineProblem(f"the container engine does not answer on {self._path}: {error}") from error
        finally:
            connection.close()


def _lines(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.splitlines():
        try:
            loaded = json.loads(line)
        except ValueError:
            continue
        if isinstance(loaded, dict):
            yield loaded


def _message(body: bytes) -> str:
    return next((str(line["message"]) for line in _lines(body) if "message" in line), "")

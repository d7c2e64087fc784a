# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one address under another name, over connections that stay open."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage

from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import Target
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.tls import unverified

_BODY_LIMIT = 64 * 1024
_AGENT = "techsaas-hardened-verify"
# An earlier run may have used up what the rate limit allows this address: it refills soon.
_PATIENCE = 4
_PAUSE = 0.5


@dataclass(frozen=True)
class Answer:
    label: str
    status: int
    headers: HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        return str(self.headers.get(name, "")).strip()

    @property
    def request_id(self) -> str:
        return self.header("X-Request-ID")


class Client:
    """One connection. It is opened by the first request, and anew after the server has closed it."""

    def __init__(self, target: Target, *, tls: bool = True) -> None:
        self._target = target
        self._tls = tls
        self._connection: HTTPConnection | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def ask(
        self, path: str, method: str = "GET", label: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = self._connection = self._connection or self._open()
        host = self._target.host_header if self._tls else self._target.domain
        sent = {"Host": host, "User-Agent": _AGENT, "Accept": "*/*", **(headers or {})}
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            body = response.read(_BODY_LIMIT)
            whole = response.isclosed()
        except Exception:
            self.close()
            raise
        if response.will_close or not whole:
            self.close()
        return Answer(label or f"{method} {path}", response.status, response.headers, body)

    def _open(self) -> HTTPConnection:
        connection = HTTPConnection(self._target.domain)
        # Otherwise it would connect by itself, in clear, to wherever the name leads.
        connection.auto_open = 0
        plain = self._target.connect(0 if self._tls else self._target.http_port)
        if self._tls:
            try:
                connection.sock = unverified().wrap_socket(plain, server_hostname=self._target.domain)
            except Exception:
                plain.close()
                raise
        else:
            connection.sock = plain
        return connection


def fetch(
    target: Target, path: str, method: str = "GET", label: str = "", headers: dict[str, str] | None = None
) -> Answer:
    with Client(target) as client:
        answer = client.ask(path, method, label, headers)
        for _attempt in range(_PATIENCE):
            if answer.status != 429:
                break
            time.sleep(_PAUSE)
            answer = client.ask(path, method, label, headers)
        return answer

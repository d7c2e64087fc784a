# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request passes through: who sent it, what it may weigh, and its line in the access log."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import context, logs
from .config import Network
from .errors import error_response

BODY_LIMIT = 64 * 1024
PATH_LOGGED = 512
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
TOO_LARGE = HTTPException(413, f"the body is larger than {BODY_LIMIT} bytes")


class RequestMiddleware:
    """Begins the request's context and logs the outcome."""

    def __init__(self, app: ASGIApp, trusted_proxies: Iterable[Network]) -> None:
        self.app = app
        self.trusted_proxies = tuple(trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = self._identify(scope)
        context.begin(request)
        started, status, sent = time.perf_counter(), 0, 0

        async def send_noting(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request.request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, send_noting)
        except Exception:
            logs.service.exception("unhandled_error", extra={"fields": {"path": scope["path"][:PATH_LOGGED]}})
        finally:
            if not _is_own_health_check(scope):
                logs.event(
                    logs.access,
                    logging.INFO,
                    "request",
                    method=scope["method"],
                    path=scope["path"][:PATH_LOGGED],
                    status=status,
                    bytes=sent,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )

    def _identify(self, scope: Scope) -> context.RequestContext:
        headers, peer = Headers(scope=scope), (scope["client"] or ("unknown", 0))[0]
        if not self._is_trusted(peer):
            return context.RequestContext(secrets.token_hex(16), peer)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        return context.RequestContext(request_id, self._client(peer, headers.getlist("x-forwarded-for")))

    def _client(self, peer: str, forwarded: list[str]) -> str:
        """The nearest address that is not a proxy of ours: anybody can have written what stands before it."""
        client = peer
        for hop in reversed([hop.strip() for hop in ",".join(forwarded).split(",")]):
            try:
                client = str(ipaddress.ip_address(hop))
            except ValueError:
                break
            if not self._is_trusted(client):
                break
        return client

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self.trusted_proxies)


class BodyLimitMiddleware:
    """Refuses a body that is announced as too large, and stops reading one that turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > BODY_LIMIT:
            await error_response(413, "content_too_large", TOO_LARGE.detail)(scope, receive, send)
            return
        received = 0

        async def receive_counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_LIMIT:
                raise TOO_LARGE
            return message

        await self.app(scope, receive_counting, send)


def _is_own_health_check(scope: Scope) -> bool:
    """Only the container itself comes from the loopback; its check is not worth a line every few seconds."""
    return scope["path"] == "/healthz" and (scope["client"] or ("",))[0] == "127.0.0.1"

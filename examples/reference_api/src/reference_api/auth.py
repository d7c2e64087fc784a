# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may: clients by key or session, administrators by the administration key."""

from __future__ import annotations

import logging
import math
from typing import Annotated, NoReturn

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from . import context, logs
from .credentials import same_text, secret_matches, split_key
from .database import ApiKey
from .errors import ApiError
from .services import Services, UseServices, UseTransaction

SESSION_COOKIE = "__Host-session"  # browsers keep such a cookie to this host and to TLS
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def authenticate_key(request: Request, session: UseTransaction, shared: UseServices) -> ApiKey:
    """A client by its key alone: what a session is given for."""
    text = request.headers.get("x-api-key") or _bearer(request)
    if not text:
        _refuse("missing")
    return await _by_key(text, session, shared)


async def authenticate(request: Request, session: UseTransaction, shared: UseServices) -> ApiKey:
    """A client by its key or by a session that a key was exchanged for."""
    text = request.headers.get("x-api-key") or _bearer(request)
    if text and ("x-api-key" in request.headers or split_key(text)):
        return await _by_key(text, session, shared)
    if text:
        return await _by_session(text, session, shared)
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        _refuse("missing")
    _refuse_foreign_site(request, shared)
    return await _by_session(cookie, session, shared)


async def authenticate_admin(request: Request, shared: UseServices) -> None:
    """An administrator."""
    given = request.headers.get("x-admin-key") or _bearer(request)
    keys = (shared.settings.admin_api_key, *shared.settings.admin_api_key_fallbacks)
    # Each one is compared, so that the time tells nothing.
    matches = [same_text(given, key) for key in keys]
    if not any(matches):
        reason = "wrong" if given else "missing"
        logs.event(logs.security, logging.WARNING, "admin_authentication_failed", reason=reason)
        raise ApiError(401, "unauthorized", "an administration key is needed", CHALLENGE)


UseKey = Annotated[ApiKey, Depends(authenticate_key)]
UseClient = Annotated[ApiKey, Depends(authenticate)]


async def _by_key(text: str, session: AsyncSession, shared: Services) -> ApiKey:
    parts = split_key(text)
    if not parts:
        _refuse("malformed")
    key_id, secret = parts
    key = await session.get(ApiKey, key_id)
    if not secret_matches(secret, key.secret_hash if key else None) or key is None:
        _refuse("wrong" if key else "unknown", key_id)
    return _admit(key, "key", shared)


async def _by_session(token: str, session: AsyncSession, shared: Services) -> ApiKey:
    key_id = shared.sessions.key_id(token)
    key = await session.get(ApiKey, key_id) if key_id else None
    if key is None:
        _refuse("bad_session")
    return _admit(key, "session", shared)


def _admit(key: ApiKey, method: str, shared: Services) -> ApiKey:
    if key.revoked_at:
        _refuse("revoked", key.id)
    request = context.current()
    if request:
        request.key_id = key.id
    # Counted only once the key is proven: nobody uses up another client's share by naming its key.
    if wait := shared.limiter.wait(key.id):
        logs.event(logs.security, logging.WARNING, "rate_limit_exceeded", limited_by="key")
        raise ApiError(429, "rate_limited", "too many requests", {"Retry-After": str(math.ceil(wait))})
    logs.event(logs.security, logging.INFO, "key_used", method=method)
    return key


def _refuse(reason: str, presented: str | None = None) -> NoReturn:
    """The log says why; the client learns only that it was refused."""
    logs.event(logs.security, logging.WARNING, "key_rejected", reason=reason, presented_key_id=presented)
    raise ApiError(401, "unauthorized", "a valid API key or session is needed", CHALLENGE)


def _refuse_foreign_site(request: Request, shared: Services) -> None:
    """A browser sends cookies for any page: a change must come from one of ours."""
    origin = request.headers.get("origin")
    own = f"https://{request.headers.get('host', '')}"
    if request.method in SAFE_METHODS or origin in (None, own, *shared.settings.cors_origins):
        return
    logs.event(logs.security, logging.WARNING, "foreign_origin_refused")
    raise ApiError(403, "foreign_origin", "the session may not be used from that origin")


def _bearer(request: Request) -> str:
    scheme, _space, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""

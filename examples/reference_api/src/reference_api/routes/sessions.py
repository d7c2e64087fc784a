# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions, for clients that should not carry a key around (browsers)."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from .. import logs
from ..auth import SESSION_COOKIE, UseKey
from ..credentials import SESSION_SECONDS
from ..services import UseServices

router = APIRouter(prefix="/v1/session")


class SessionView(BaseModel):
    """A token; the cookie set beside it holds the same."""

    token: str
    expires_in: int


@router.post("", status_code=201)
async def begin(key: UseKey, shared: UseServices, response: Response) -> SessionView:
    """Exchange a key for a session."""
    token = shared.sessions.issue(key.id)
    response.set_cookie(
        SESSION_COOKIE, token, max_age=SESSION_SECONDS, secure=True, httponly=True, samesite="strict"
    )
    logs.event(logs.security, logging.INFO, "session_issued", expires_in=SESSION_SECONDS)
    return SessionView(token=token, expires_in=SESSION_SECONDS)

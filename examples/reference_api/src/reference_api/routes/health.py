# SPDX-License-Identifier: GPL-3.0-or-later
"""For those who run the API: is it alive, can it serve, what is it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from .. import schema
from ..services import UseServices

PATIENCE = 2.5  # seconds; probes give up soon after

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers: nothing else is asked, so that a database's outage restarts no one."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(shared: UseServices) -> JSONResponse:
    """The database answers and its schema is one that this image works with."""
    try:
        async with asyncio.timeout(PATIENCE):
            state, revision = await schema.inspect(shared.engine)
    except (SQLAlchemyError, TimeoutError):
        return JSONResponse({"status": "unavailable", "database": "unreachable"}, 503)
    ready = state is schema.SchemaState.OK
    body = {
        "status": "ready" if ready else "unavailable",
        "database": "ok",
        "schema": {"state": state, "revision": revision, "head": schema.HEAD},
    }
    return JSONResponse(body, 200 if ready else 503)


@router.get("/version")
async def version(shared: UseServices) -> dict[str, Any]:
    """What runs here."""
    return {
        "release": shared.settings.release,
        "image_version": shared.settings.image_version,
        "schema_head": schema.HEAD,
    }

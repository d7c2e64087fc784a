# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error has the same JSON body, with the request's id and without what the client sent."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from . import context, logs


class ApiError(HTTPException):
    """An error with a code that clients can tell apart."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code


def error_response(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    details: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """The one shape of an error."""
    request = context.current()
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "request_id": request.request_id if request else None,
    }
    if details:
        error["details"] = details
    return JSONResponse({"error": error}, status, headers)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (narrows the type)
    status = http.HTTPStatus(error.status_code)
    code = error.code if isinstance(error, ApiError) else status.phrase.lower().replace(" ", "_")
    return error_response(status, code, error.detail, error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (narrows the type)
    details = [
        {"field": ".".join(str(part) for part in problem["loc"])[:200], "problem": problem["msg"][:200]}
        for problem in error.errors()[:20]
    ]
    return error_response(422, "invalid_request", "the request is not valid", details=details)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    # Starlette raises the error again once this is sent, and the outermost middleware logs it.
    return error_response(500, "internal_error", "something went wrong here")


async def _database(_request: Request, error: Exception) -> JSONResponse:
    logs.event(logs.service, logging.ERROR, "database_unavailable", error=str(error)[:500])
    return error_response(503, "database_unavailable", "try again soon", {"Retry-After": "5"})


def install(app: FastAPI) -> None:
    """Answer all of them."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for error in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(error, _database)
    app.add_exception_handler(Exception, _unexpected)

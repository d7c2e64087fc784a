# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the application together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from . import errors
from .config import Settings
from .credentials import Sessions
from .database import serving_engine
from .limits import RateLimiter
from .middleware import BodyLimitMiddleware, RequestMiddleware
from .routes import health, items, keys, sessions
from .services import Services


def create_app(settings: Settings) -> ASGIApp:
    """The whole application, ready to be served."""
    services = Services(
        settings=settings,
        engine=serving_engine(settings.database, settings.release),
        sessions=Sessions(settings.secret_key, settings.secret_key_fallbacks),
        limiter=RateLimiter(settings.rate_limit),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await services.engine.dispose()

    app = FastAPI(
        title="Reference API",
        version=settings.image_version,
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json" if settings.environment == "development" else None,
        redirect_slashes=False,
    )
    app.state.services = services
    errors.install(app)
    for module in (health, items, keys, sessions):
        app.include_router(module.router)
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_credentials=True,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        expose_headers=["X-Request-ID", "Retry-After"],
    )
    return RequestMiddleware(app, settings.trusted_proxies)

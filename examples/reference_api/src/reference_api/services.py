# SPDX-License-Identifier: GPL-3.0-or-later
"""What the routes share, and how they ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from .config import Settings
from .credentials import Sessions
from .limits import RateLimiter


@dataclass(frozen=True, slots=True)
class Services:
    """Lives as long as the application."""

    settings: Settings
    engine: AsyncEngine
    sessions: Sessions
    limiter: RateLimiter


def services(request: Request) -> Services:
    """The application's services."""
    found = request.app.state.services
    assert isinstance(found, Services)  # noqa: S101 (narrows the type)
    return found


async def transaction(shared: Annotated[Services, Depends(services)]) -> AsyncIterator[AsyncSession]:
    """One transaction a request, committed before the answer is sent."""
    async with AsyncSession(shared.engine, expire_on_commit=False) as session, session.begin():
        yield session


UseServices = Annotated[Services, Depends(services)]
# Function scope: the client is told of success only after the commit.
UseTransaction = Annotated[AsyncSession, Depends(transaction, scope="function")]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a client's key away: by the administration's route, or by whoever operates the service."""

from __future__ import annotations

import logging

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from . import logs
from .config import Settings
from .database import ApiKey, serving_engine


async def revoke_key(session: AsyncSession, key_id: str) -> ApiKey | None:
    """Revoke a key, from the next request on; once revoked it stays so. None if there is no such key."""
    key = await session.get(ApiKey, key_id, with_for_update=True)
    if key is not None and key.revoked_at is None:
        key.revoked_at = await session.scalar(select(func.now()))
        logs.event(logs.security, logging.INFO, "key_revoked", revoked_key_id=key.id, key_client=key.client)
    return key


async def revoke_by_command(settings: Settings, key_id: str) -> ApiKey | None:
    """The same, outside of a request."""
    engine = serving_engine(settings.database, settings.release)
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            return await revoke_key(session, key_id)
    finally:
        await engine.dispose()

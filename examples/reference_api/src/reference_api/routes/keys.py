# SPDX-License-Identifier: GPL-3.0-or-later
"""Issuing and revoking clients' keys."""

from __future__ import annotations

import logging
from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from starlette.responses import Response

from .. import logs
from ..auth import authenticate_admin
from ..credentials import issue_key
from ..database import ApiKey
from ..errors import ApiError
from ..revocation import revoke_key
from ..services import UseTransaction
from .models import AfterKey, KeyId, Limit, Line, Strict

router = APIRouter(prefix="/admin/keys", dependencies=[Depends(authenticate_admin)])


class NewKey(Strict):
    """Whose key it will be."""

    client: Line


class KeyView(BaseModel):
    """What is known of a key; its secret is not."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    client: str
    created_at: datetime
    revoked_at: datetime | None


class IssuedKeyView(KeyView):
    """A new key with its text, shown this once."""

    key: str


class KeyPage(BaseModel):
    """Some keys and where to go on."""

    keys: list[KeyView]
    next: str | None


@router.post("", status_code=201)
async def issue(new: NewKey, session: UseTransaction) -> IssuedKeyView:
    """Issue a key to a client."""
    issued = issue_key()
    key = ApiKey(id=issued.id, client=new.client, secret_hash=issued.secret_hash)
    session.add(key)
    await session.flush()
    await session.refresh(key)
    logs.event(logs.security, logging.INFO, "key_issued", issued_key_id=key.id, key_client=key.client)
    return IssuedKeyView(key=issued.text, **KeyView.model_validate(key).model_dump())


@router.get("")
async def list_keys(session: UseTransaction, limit: Limit = 20, after: AfterKey = "") -> KeyPage:
    """A page of keys, by id."""
    query = select(ApiKey).where(ApiKey.id > after).order_by(ApiKey.id).limit(limit + 1)
    found = list(await session.scalars(query))
    page = found[:limit]
    return KeyPage(
        keys=[KeyView.model_validate(key) for key in page],
        next=page[-1].id if len(found) > limit else None,
    )


@router.delete("/{key_id}", status_code=204)
async def revoke(key_id: KeyId, session: UseTransaction) -> Response:
    """Revoke a key, from the next request on; once revoked it stays so."""
    if await revoke_key(session, key_id) is None:
        raise ApiError(404, "not_found", "there is no such key")
    return Response(status_code=204)

# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's items."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select
from starlette.responses import Response

from ..auth import UseClient
from ..database import Item
from ..errors import ApiError
from ..services import UseTransaction
from .models import After, ItemId, Limit, Line, Strict, Text

router = APIRouter(prefix="/v1/items")


class NewItem(Strict):
    """What a client sends."""

    name: Line
    content: Text = ""


class ItemView(BaseModel):
    """What a client sees."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    content: str
    # Bytes; null for one from before there were sizes, until the backfill.
    size: int | None
    created_by: str
    created_at: datetime


class ItemPage(BaseModel):
    """Some items, oldest first, and where to go on."""

    items: list[ItemView]
    next: int | None


@router.post("", status_code=201)
async def create(new: NewItem, client: UseClient, session: UseTransaction, response: Response) -> ItemView:
    """Store an item."""
    size = len(new.content.encode())
    item = Item(client=client.client, created_by=client.id, name=new.name, content=new.content, size=size)
    session.add(item)
    await session.flush()
    await session.refresh(item)
    response.headers["Location"] = f"/v1/items/{item.id}"
    return ItemView.model_validate(item)


@router.get("")
async def list_items(
    client: UseClient, session: UseTransaction, limit: Limit = 20, after: After = 0
) -> ItemPage:
    """A page of items."""
    query = select(Item).where(Item.client == client.client, Item.id > after).order_by(Item.id)
    found = list(await session.scalars(query.limit(limit + 1)))
    page = found[:limit]
    return ItemPage(
        items=[ItemView.model_validate(item) for item in page],
        next=page[-1].id if len(found) > limit else None,
    )


@router.get("/{item_id}")
async def read(item_id: ItemId, client: UseClient, session: UseTransaction) -> ItemView:
    """One item."""
    item = await session.scalar(select(Item).where(Item.id == item_id, Item.client == client.client))
    if item is None:
        raise ApiError(404, "not_found", "there is no such item")
    return ItemView.model_validate(item)


@router.delete("/{item_id}", status_code=204)
async def remove(item_id: ItemId, client: UseClient, session: UseTransaction) -> Response:
    """Delete an item."""
    query = delete(Item).where(Item.id == item_id, Item.client == client.client).returning(Item.id)
    if await session.scalar(query) is None:
        raise ApiError(404, "not_found", "there is no such item")
    return Response(status_code=204)

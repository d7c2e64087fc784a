# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables and connections."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    NullPool,
    Text,
    create_engine,
    func,
)
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from . import NAME
from .config import Database

DRIVER = "postgresql+psycopg://"
SECOND = 1000


class Base(DeclarativeBase):
    """What all tables share."""

    type_annotation_map = {  # noqa: RUF012 (how SQLAlchemy declares it)
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
    }


class ApiKey(Base):
    """A client's key. A client has as many as it needs to rotate them; only a hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    client: Mapped[str]
    secret_hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class Item(Base):
    """What clients store; seen only by the client that made it."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    client: Mapped[str]
    created_by: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    name: Mapped[str]
    content: Mapped[str]
    size: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("items_client_id", "client", "id"),)


def serving_engine(database: Database, release: str) -> AsyncEngine:
    """Pooled connections for requests, with limits that keep a slow database from piling them up."""
    return create_async_engine(
        DRIVER,
        connect_args=_connection(database, release, f"-c statement_timeout={5 * SECOND}"),
        pool_size=10,
        max_overflow=5,
        pool_timeout=3,
        pool_recycle=1800,
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text ends in the log, clients' data must not
    )


def migration_engine(database: Database, release: str) -> Engine:
    """One connection, without the limits of a request."""
    return create_engine(
        DRIVER, connect_args=_connection(database, f"{release} migrate", ""), poolclass=NullPool
    )


def _connection(database: Database, release: str, options: str) -> dict[str, Any]:
    arguments = {
        "host": database.host,
        "hostaddr": database.hostaddr,
        "port": database.port,
        "dbname": database.name,
        "user": database.user,
        "password": database.password,
        "sslmode": database.sslmode,
        "sslrootcert": database.sslrootcert,
        "application_name": f"{NAME} {release}",
        "connect_timeout": 3,
        "gssencmode": "disable",
        "options": options,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    if database.sslmode.startswith("verify-"):
        # A server that asks for the password in clear is not ours, whatever certificate it has.
        arguments |= {"ssl_min_protocol_version": "TLSv1.3", "require_auth": "scram-sha-256"}
    return {name: value for name, value in arguments.items() if value != ""}

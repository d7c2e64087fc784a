# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's schema: bringing it forward, and telling whether this image can work with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from .config import Settings
from .database import migration_engine

# Revisions are numbers of four digits, so that an image can tell a later one that it does not know.
HEAD = "0002"
LOCK = 0x7265_6661_7069  # "refapi": one migration at a time in a database
LOCK_WAIT = "60s"  # for another migration to finish
TABLE_WAIT = "5s"  # for requests to leave a table: waiting longer would queue all others behind us


class SchemaState(StrEnum):
    """How the database's schema relates to this image."""

    OK = "ok"
    MISSING = "missing"
    BEHIND = "behind"
    INCOMPATIBLE = "incompatible"


class SchemaError(Exception):
    """This image cannot work with the database as it is."""


def judge(revision: str | None, oldest_compatible: str | None) -> SchemaState:
    """A schema of a later image will do as long as that image says so: releases overlap."""
    if revision is None:
        return SchemaState.MISSING
    if revision < HEAD:
        return SchemaState.BEHIND
    if revision > HEAD and (oldest_compatible is None or oldest_compatible > HEAD):
        return SchemaState.INCOMPATIBLE
    return SchemaState.OK


async def inspect(engine: AsyncEngine) -> tuple[SchemaState, str | None]:
    """The state of the schema and its revision."""
    query = text("SELECT version_num, (SELECT oldest_compatible FROM schema_support) FROM alembic_version")
    async with engine.connect() as connection:
        try:
            row = (await connection.execute(query)).one_or_none()
        except ProgrammingError:  # no such table
            return SchemaState.MISSING, None
    revision, oldest = row or (None, None)
    return judge(revision, oldest), revision


def migrate(settings: Settings, target: str = HEAD) -> dict[str, Any]:
    """Bring the schema forward in one transaction; say what was and what is."""
    engine = migration_engine(settings.database, settings.release)
    with engine.begin() as connection:
        _set_lock_timeout(connection, LOCK_WAIT)
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        _set_lock_timeout(connection, TABLE_WAIT)
        before = MigrationContext.configure(connection).get_current_revision()
        if before is None or before < target:
            _upgrade(connection, target)
        elif before > HEAD:
            oldest = connection.scalar(text("SELECT oldest_compatible FROM schema_support"))
            if judge(before, oldest) is not SchemaState.OK:
                raise SchemaError(f"the database is at {before} and needs an image of {oldest} or later")
        after = MigrationContext.configure(connection).get_current_revision()
    return {"changed": before != after, "from": before, "to": after}


def scripts() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection, target: str) -> None:
    config = scripts()
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    revision = ScriptDirectory.from_config(config).get_revision(target)
    connection.execute(
        text("UPDATE schema_support SET oldest_compatible = :oldest"),
        {"oldest": revision.module.oldest_compatible},
    )


def _set_lock_timeout(connection: Connection, timeout: str) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": timeout})

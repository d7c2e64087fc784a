# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's schema: bringing it forward in phases, and telling whether this image can work with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
# HEAD is what this image needs, and `migrate` brings; CONTRACTED is what `contract` brings, once nobody
# goes back to an image from before HEAD.
HEAD = "0003"
CONTRACTED = "0005"
LOCK = 0x7265_6661_7069  # "refapi": one migration at a time in a database
LOCK_WAIT = "60s"  # for another migration to finish
# For requests to leave a table, unless PGOPTIONS says: waiting longer would queue all others behind us.
TABLE_WAIT = "5s"
BATCH = 1000  # rows that a backfill holds at a time


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
    with _alone(settings) as connection:
        before = _revision(connection)
        if before is None or before < target:
            owed = [name for name in _between(before, target) if before and _phase(name) == "contract"]
            if owed:
                raise SchemaError(f"{owed[-1]} is owed: have the image before run contract first")
            _upgrade(connection, target)
        elif before > HEAD:
            oldest = connection.scalar(text("SELECT oldest_compatible FROM schema_support"))
            if judge(before, oldest) is not SchemaState.OK:
                raise SchemaError(f"the database is at {before} and needs an image of {oldest} or later")
        after = _revision(connection)
    return {"changed": before != after, "from": before, "to": after}


def backfill(settings: Settings) -> dict[str, Any]:
    """Fill what migrations have added, some rows in each transaction; say how many there were."""
    rows = 0
    for name in _between(None, HEAD):
        fill = getattr(_script(name), "backfill", None)
        while fill:
            with _alone(settings) as connection:
                if (_revision(connection) or "") < HEAD:
                    raise SchemaError("run migrate first")
                done = fill(connection, BATCH)
            rows += done
            if done < BATCH:
                break
    return {"changed": rows > 0, "rows": rows}


def contract(settings: Settings) -> dict[str, Any]:
    """Take away what only images before this one need, each step in a transaction of its own."""
    with _alone(settings) as connection:
        before = after = _revision(connection)
        if before is None or before < HEAD:
            raise SchemaError("run migrate first")
        for script in map(_script, _between(None, HEAD)):
            if hasattr(script, "UNFILLED") and connection.scalar(text(script.UNFILLED)):
                raise SchemaError(f"what {script.revision} has added is not filled yet: run backfill first")
    for name in _between(before, CONTRACTED):
        with _alone(settings) as connection:
            _upgrade(connection, name)
        after = name
    return {"changed": before != after, "from": before, "to": after}


@contextmanager
def _alone(settings: Settings) -> Iterator[Connection]:
    """A transaction while no other migration runs."""
    engine = migration_engine(settings.database, settings.release)
    with engine.begin() as connection:
        told = str(connection.scalar(text("SELECT current_setting('lock_timeout')")))
        _set_lock_timeout(connection, LOCK_WAIT)
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        _set_lock_timeout(connection, TABLE_WAIT if told == "0" else told)
        yield connection


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _between(before: str | None, target: str) -> list[str]:
    """Revisions after one, up to another, the oldest first."""
    found = [script.revision for script in ScriptDirectory.from_config(scripts()).walk_revisions()]
    return sorted(name for name in found if (before or "") < name <= target)


def _script(revision: str) -> Any:
    return ScriptDirectory.from_config(scripts()).get_revision(revision).module


def _phase(revision: str) -> str:
    return str(_script(revision).phase)


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
    connection.execute(
        text("UPDATE schema_support SET oldest_compatible = :oldest"),
        {"oldest": _script(target).oldest_compatible},
    )


def _set_lock_timeout(connection: Connection, timeout: str) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": timeout})

# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations: forward only, one at a time, and images of two releases on one database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from reference_api import schema
from reference_api.config import load
from reference_api.database import Base, migration_engine

from .conftest import Api, Cluster, StartApi, migrate, run_command, wait_for


@pytest.fixture
def superuser(cluster: Cluster, environment: dict[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(cluster.directory),
        port=cluster.port,
        user="postgres",
        dbname=environment["DATABASE_NAME"],
    ) as connection:
        yield connection


def readiness(api: Api) -> tuple[int, str]:
    response = api.http.get("/readyz")
    return response.status_code, response.json()["schema"]["state"]


def test_the_head_is_the_last_of_a_numbered_line() -> None:
    script = ScriptDirectory.from_config(schema.scripts())
    assert script.get_heads() == [schema.CONTRACTED]
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    for revision in script.walk_revisions():
        assert "0001" <= revision.module.oldest_compatible <= revision.revision
        # What migrate brings next to a release that serves takes nothing from it.
        assert (revision.module.phase == "contract") == (revision.revision > schema.HEAD)
        with pytest.raises(NotImplementedError, match="forward only"):
            revision.module.downgrade()


def test_migrating_says_what_it_did_and_then_does_nothing(environment: dict[str, str]) -> None:
    assert migrate(environment) == {"changed": True, "from": None, "to": schema.HEAD}
    assert migrate(environment) == {"changed": False, "from": schema.HEAD, "to": schema.HEAD}


def test_the_schema_is_that_of_the_code(environment: dict[str, str]) -> None:
    migrate(environment)
    settings = load(environment)
    with migration_engine(settings.database, "test").connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (kind, name) != ("table", "schema_support"),
                "compare_type": True,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_downgrade_changes_nothing(environment: dict[str, str]) -> None:
    migrate(environment)
    settings = load(environment)
    config = schema.scripts()
    with migration_engine(settings.database, "test").begin() as connection:
        config.attributes["connection"] = connection
        with pytest.raises(NotImplementedError, match="forward only"):
            command.downgrade(config, "0001")
    assert migrate(environment)["changed"] is False


def test_of_many_at_once_one_migrates(environment: dict[str, str]) -> None:
    with ThreadPoolExecutor(5) as pool:
        said = list(pool.map(lambda _: migrate(environment), range(5)))
    assert sorted(one["changed"] for one in said) == [False] * 4 + [True]
    assert {one["to"] for one in said} == {schema.HEAD}


def test_a_busy_table_fails_the_migration_and_leaves_no_trace(
    environment: dict[str, str], superuser: psycopg.Connection
) -> None:
    schema.migrate(load(environment), "0001")
    superuser.execute("LOCK TABLE items IN ROW EXCLUSIVE MODE")
    result = run_command("migrate", environment=environment)
    assert result.returncode == 75
    assert "lock timeout" in json.loads(result.stderr)["error"]
    superuser.rollback()
    assert migrate(environment) == {"changed": True, "from": "0001", "to": schema.HEAD}


def test_how_long_a_table_is_waited_for_is_told(
    environment: dict[str, str], superuser: psycopg.Connection
) -> None:
    schema.migrate(load(environment), "0001")
    superuser.execute("LOCK TABLE items IN ROW EXCLUSIVE MODE")
    started = time.monotonic()
    told = environment | {"PGOPTIONS": "-c lock_timeout=300ms -c statement_timeout=2s"}
    assert run_command("migrate", environment=told).returncode == 75
    assert time.monotonic() - started < 4.5


def test_a_statement_that_takes_too_long_is_not_tried_again(
    environment: dict[str, str], superuser: psycopg.Connection
) -> None:
    schema.migrate(load(environment), "0001")
    superuser.execute("LOCK TABLE items IN ROW EXCLUSIVE MODE")
    told = environment | {"PGOPTIONS": "-c lock_timeout=20s -c statement_timeout=300ms"}
    result = run_command("migrate", environment=told)
    assert result.returncode == 1
    assert "statement timeout" in json.loads(result.stderr)["error"]


INSERT = (
    "INSERT INTO items (client, created_by, name, content{more}) VALUES ('acme', 'key', 'x', 'ünï'{value})"
)
BEFORE, SINCE = INSERT.format(more="", value=""), INSERT.format(more=", size", value=", 5")


def test_the_phases_of_a_change(environment: dict[str, str], superuser: psycopg.Connection) -> None:
    superuser.autocommit = True
    for early in ("backfill", "contract"):
        refused = run_command(early, environment=environment)
        assert (refused.returncode, json.loads(refused.stderr)) == (1, {"error": "run migrate first"})
    migrate(environment)
    superuser.execute("INSERT INTO api_keys (id, client, secret_hash) VALUES ('key', 'acme', '')")
    # An image from before the change writes beside one from after it.
    for statement in [BEFORE] * 2500 + [SINCE]:
        superuser.execute(statement)
    refused = run_command("contract", environment=environment)
    assert refused.returncode == 1
    assert "run backfill first" in json.loads(refused.stderr)["error"]
    superuser.execute(BEFORE)

    assert _say("backfill", environment) == {"changed": True, "rows": 2501}
    assert superuser.execute("SELECT DISTINCT size FROM items").fetchall() == [(5,)]
    assert _say("backfill", environment) == {"changed": False, "rows": 0}
    superuser.execute(BEFORE)
    assert _say("backfill", environment) == {"changed": True, "rows": 1}

    contracted = {"changed": True, "from": schema.HEAD, "to": schema.CONTRACTED}
    assert _say("contract", environment) == contracted
    assert _say("contract", environment)["changed"] is False
    superuser.execute(SINCE)
    with pytest.raises(psycopg.errors.CheckViolation):
        superuser.execute(BEFORE)
    # This image goes on, and one from before would say that it cannot.
    assert migrate(environment)["changed"] is False
    oldest = superuser.execute("SELECT oldest_compatible FROM schema_support").fetchone()
    assert oldest == (schema.HEAD,)
    assert schema.judge(schema.CONTRACTED, schema.HEAD) == "ok"


def test_a_contract_that_gets_no_lock_is_worth_another_try(
    environment: dict[str, str], superuser: psycopg.Connection
) -> None:
    migrate(environment)
    superuser.execute("LOCK TABLE items IN ACCESS SHARE MODE")
    told = environment | {"PGOPTIONS": "-c lock_timeout=300ms"}
    assert run_command("contract", environment=told).returncode == 75
    superuser.rollback()
    assert _say("contract", environment)["to"] == schema.CONTRACTED


def test_an_image_from_before_a_contract_does_not_go_on(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(environment)
    _say("contract", environment)
    monkeypatch.setattr(schema, "HEAD", "0002")
    with pytest.raises(schema.SchemaError, match="needs an image of 0003 or later"):
        schema.migrate(load(environment), "0002")


def test_a_contract_that_is_owed_comes_first(environment: dict[str, str]) -> None:
    migrate(environment)
    with pytest.raises(schema.SchemaError, match="0005 is owed"):
        schema.migrate(load(environment), schema.CONTRACTED)


def _say(command: str, environment: dict[str, str]) -> dict[str, Any]:
    result = run_command(command, environment=environment)
    assert result.returncode == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def test_an_unreachable_database_is_worth_another_try(environment: dict[str, str]) -> None:
    result = run_command("migrate", environment=environment | {"DATABASE_PORT": "1"})
    assert result.returncode == 75
    assert environment["DATABASE_PASSWORD"] not in result.stderr


def test_the_server_must_prove_itself(environment: dict[str, str]) -> None:
    result = run_command("migrate", environment=environment | {"DATABASE_HOST": "database.lab.internal"})
    assert result.returncode == 75
    assert "does not match host name" in json.loads(result.stderr)["error"]


def test_readiness_follows_the_schema(
    environment: dict[str, str], start: StartApi, superuser: psycopg.Connection
) -> None:
    api = start(environment)
    superuser.autocommit = True
    assert readiness(api) == (503, "missing")
    schema.migrate(load(environment), "0001")
    assert readiness(api) == (503, "behind")
    migrate(environment)
    assert readiness(api) == (200, "ok")
    # A later image has migrated and says that ours still works: both releases serve during a rollout.
    superuser.execute("UPDATE alembic_version SET version_num = '9000'")
    assert readiness(api) == (200, "ok")
    assert migrate(environment) == {"changed": False, "from": "9000", "to": "9000"}
    superuser.execute("UPDATE schema_support SET oldest_compatible = '8999'")
    assert readiness(api) == (503, "incompatible")
    refused = run_command("migrate", environment=environment)
    assert refused.returncode == 1
    assert "needs an image of 8999 or later" in json.loads(refused.stderr)["error"]


def test_requests_in_flight_are_finished_before_it_stops(
    environment: dict[str, str], start: StartApi, superuser: psycopg.Connection
) -> None:
    migrate(environment)
    api = start(environment)
    client = api.client(api.issue_key())
    superuser.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    statuses: list[int] = []
    request = threading.Thread(
        target=lambda: statuses.append(client.post("/v1/items", json={"name": "slow"}).status_code)
    )
    request.start()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass"
    wait_for(lambda: (superuser.execute(waiting).fetchone() or (0,))[0], "the request to wait")
    api.process.terminate()
    wait_for(lambda: _refuses(api), "the API to take no more")
    assert api.process.poll() is None
    superuser.rollback()
    assert api.process.wait(20) == 0
    request.join(5)
    assert statuses == [201]
    client.close()


def _refuses(api: Api) -> bool:
    return run_command("healthcheck", f"--port={api.port}", environment={}).returncode == 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations: forward only, one at a time, and images of two releases on one database."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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
    assert script.get_heads() == [schema.HEAD]
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    for revision in script.walk_revisions():
        assert "0001" <= revision.module.oldest_compatible <= revision.revision
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

# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of the schema in its phases, in this order: an image from before it, expand, backfill, contract, and the ways back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from molecule.migrate.conftest import APPS, AT_ONCE, Deployment, refused, succeeded

LOCK_TIMEOUT = 1.0
# Beside the lock timeout: what it takes to have an answer on a busy machine at all.
SLACK = 0.5
TO_BEFORE = """
    ALTER TABLE items DROP COLUMN size;
    UPDATE alembic_version SET version_num = '0002';
    UPDATE schema_support SET oldest_compatible = '0001'
"""
GET = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode())
"""
UNFILLED = "SELECT count(*) FROM items WHERE size IS NULL"


def revision(deployment: Deployment) -> str:
    return deployment.sql("SELECT version_num FROM alembic_version")


def readiness(deployment: Deployment, slot: str, host: str = APPS[0]) -> str:
    port = {"blue": 18441, "green": 18442}[slot]
    answer = deployment.client.on(host, "python3", "-c", GET, f"http://127.0.0.1:{port}/readyz")
    return str(json.loads(answer)["schema"]["state"])


def test_an_image_from_before_the_change_serves(deployment: Deployment, before: str) -> None:
    succeeded(deployment.playbook("release.yml", "-e", f"image={before}", "-e", "release=old", *AT_ONCE))
    # As it was when nobody had thought of the change.
    deployment.sql(TO_BEFORE)
    assert [deployment.create(f"item {number}") for number in range(3)] == [201] * 3


def test_a_migration_that_gets_no_lock_holds_nobody_up_and_changes_nothing(deployment: Deployment) -> None:
    state = deployment.state()
    with (
        deployment.busy("LOCK TABLE items IN ACCESS SHARE MODE"),
        deployment.reading("SELECT count(*) FROM items;") as took,
    ):
        said = refused(deployment.playbook("release.yml", "-e", "release=new", "-e", "app_migrate_retries=2"))
    print(f"{len(took)} reads beside a migration that got no lock, the slowest in {max(took):.2f} s")
    assert "the migration was tried 3 times and found the database busy each time: canceling" in said
    assert deployment.state() == state
    assert revision(deployment) == "0002"
    assert deployment.create("meanwhile") == 201
    # It did stand in the queue, and no longer than it may.
    assert len([seconds for seconds in took if seconds > LOCK_TIMEOUT / 2]) >= 3
    assert max(took) < LOCK_TIMEOUT + SLACK


def test_a_migration_comes_before_the_release_that_needs_it(deployment: Deployment) -> None:
    succeeded(
        deployment.playbook(
            "release.yml", "-e", "release=new", "-e", "canary=false", "-e", "rollout_watch=600"
        )
    )
    assert revision(deployment) == "0003"
    assert deployment.record()["release"] == "new"
    assert readiness(deployment, deployment.record()["previous"]["slot"]) == "ok"
    assert deployment.create("with a size") == 201
    assert deployment.sql(UNFILLED) == "4"


def test_sql_that_would_hurt_is_found_in_preflight(deployment: Deployment) -> None:
    directory = deployment.client.inventory / "sql"
    directory.mkdir(exist_ok=True)
    path = directory / "0003.sql"
    wanted = ("-e", json.dumps({"app_migration_sql": ["sql"]}))
    try:
        assert "NO_SUCH_FILE" in refused(deployment.playbook("preflight.yml", *wanted))
        path.write_text("SELECT 1;\nALTER TABLE items ALTER size TYPE int;\n", encoding="utf-8")
        said = refused(deployment.playbook("preflight.yml", *wanted))
        assert "sql/0003.sql:2 COLUMN_TYPE" in said
        assert "1 problem in 1 place" in said
        allowed = "-- hardened: allow COLUMN_TYPE because there are three rows"
        path.write_text(f"{allowed}\nALTER TABLE items ALTER size TYPE int;\n", encoding="utf-8")
        said = succeeded(deployment.playbook("preflight.yml", *wanted))
        assert "allowed in sql/0003.sql:2: COLUMN_TYPE, because there are three rows" in said
    finally:
        path.unlink(missing_ok=True)
        directory.rmdir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say -e phase=backfill or -e phase=contract"),
        (("-e", "phase=expand"), "Say -e phase=backfill or -e phase=contract"),
        (
            ("-e", "phase=backfill", "-e", json.dumps({"app_backfill_command": []})),
            "app_backfill_command is not set, so there is nothing to run",
        ),
        (
            ("-e", "phase=contract"),
            "edge-1: release new is watched, and may be taken back to old (promote.yml confirms it)",
        ),
        (("-e", "phase=contract", "-e", "app_migrate_lock_timeout=1"), "app_migrate_lock_timeout"),
    ],
)
def test_what_must_not_be_run_is_refused(
    deployment: Deployment, arguments: tuple[str, ...], words: str
) -> None:
    state = deployment.state()
    assert words in refused(deployment.playbook("migrate.yml", *arguments))
    assert (deployment.state(), revision(deployment)) == (state, "0003")


def test_a_backfill_fills_what_the_migration_has_added(deployment: Deployment) -> None:
    state = deployment.state()
    output = succeeded(deployment.playbook("migrate.yml", "-e", "phase=backfill"))
    assert "The backfill of release new runs on app-12: backfill" in output
    assert (deployment.sql(UNFILLED), deployment.state()) == ("0", state)


def test_the_release_is_confirmed(deployment: Deployment) -> None:
    succeeded(deployment.playbook("promote.yml"))
    assert deployment.record(host="edge-1", name="rollout")["phase"] == "confirmed"


def test_a_plan_of_a_contract_changes_nothing(deployment: Deployment) -> None:
    state = deployment.state()
    output = succeeded(deployment.playbook("migrate.yml", "-e", "phase=contract", "--check", "--diff"))
    assert "From then on nobody goes further back than to new" in output
    assert (deployment.state(), revision(deployment)) == (state, "0003")


def test_a_contract_raises_the_floor(deployment: Deployment) -> None:
    state = deployment.state()
    succeeded(deployment.playbook("migrate.yml", "-e", "phase=contract"))
    assert revision(deployment) == "0005"
    floors = [deployment.record(host)["floor"]["release"] for host in APPS]
    assert floors == ["new", "new"]
    assert deployment.state()[1:] == state[1:]
    # The release before still lies in its slot, and would not do.
    slot = deployment.record()["slot"]
    assert readiness(deployment, slot) == "ok"
    assert readiness(deployment, deployment.record()["previous"]["slot"]) == "incompatible"
    assert deployment.create("after the contract") == 201


@pytest.mark.parametrize("arguments", [(), ("-e", "release=old")])
def test_nobody_goes_back_behind_the_floor(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    state = deployment.state()
    said = refused(deployment.playbook("rollback.yml", *arguments))
    assert "release old is behind the rollback floor: the contract of release new" in said
    assert "The oldest that is safe is new, which serves" in said
    assert deployment.state() == state


def test_history_says_so(deployment: Deployment) -> None:
    output = succeeded(deployment.playbook("history.yml"))
    assert re.search(r"new: serves, [^:]*:[^,]*, [^,]*, the oldest that may be gone back to, kept", output)
    assert re.search(r"old: served, [^:]*:[^,]*, [^,]*, behind the rollback floor, kept", output)


def test_the_image_from_before_does_not_get_ready_any_more(deployment: Deployment, before: str) -> None:
    bundle: dict[str, Any] = deployment.record()
    said = refused(
        deployment.playbook(
            "release.yml",
            *("-e", f"image={before}", "-e", "release=older", "-e", "app_ready_deadline=5"),
            *("-e", json.dumps({"app_migrate_command": []})),
        )
    )
    assert "/readyz" in said
    assert deployment.record() == bundle


def test_a_contract_that_was_made_is_made_again_without_harm(deployment: Deployment) -> None:
    record = deployment.record()
    succeeded(deployment.playbook("migrate.yml", "-e", "phase=contract"))
    assert (deployment.record(), revision(deployment)) == (record, "0005")


def test_what_came_after_the_contract_is_gone_back_from(deployment: Deployment) -> None:
    succeeded(
        deployment.playbook("release.yml", "-e", "release=newer", "-e", "app_log_level=ERROR", *AT_ONCE)
    )
    assert deployment.record()["floor"]["release"] == "new"
    succeeded(deployment.playbook("rollback.yml"))
    assert deployment.record()["release"] == "new"
    assert deployment.create("at last") == 201

# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves works with the schema, whatever phase that is in, and the migrator's login stays the migration's."""

from __future__ import annotations

from molecule.migrate.conftest import APPS, Deployment


def test_what_serves_works_with_the_schema(deployment: Deployment) -> None:
    assert deployment.sql("SELECT version_num FROM alembic_version") in ("0003", "0005")
    assert deployment.client.request("GET", "/readyz").status == 200
    assert deployment.create("as ever") == 201


def test_only_a_migration_is_told_how_long_it_may_wait(deployment: Deployment) -> None:
    for host in APPS:
        slot = deployment.record(host)["slot"]
        assert "PGOPTIONS" not in deployment.client.on(host, "cat", f"/etc/hardened/app/{slot}/environment")
    told = deployment.client.on(APPS[0], "cat", "/etc/hardened/app/migrate/environment")
    assert "PGOPTIONS=-c lock_timeout=1s -c statement_timeout=15min\n" in told


def test_no_secret_is_left_where_a_migration_ran(deployment: Deployment) -> None:
    for host in APPS:
        assert "migrate" not in deployment.client.on(host, "ls", "/run/hardened-app").split()

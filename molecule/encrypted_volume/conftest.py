# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import dataclass

import pytest
from labkit.client import Client
from labkit.fleet import Fleet


@dataclass(frozen=True)
class Database:
    client: Client
    host: str

    def sh(self, script: str) -> str:
        return self.client.on(self.host, "sh", "-euc", script).strip()

    def sql(self, statement: str) -> str:
        return self.sh(
            f'cd / && setpriv --reuid=postgres --regid=postgres --init-groups psql -XAtqc "{statement}" app'
        )

    def active(self, unit: str) -> str:
        return self.sh(f"systemctl is-active '{unit}' || true")


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("encrypted_volume"))


@pytest.fixture(params=["db-12", "db-13"])
def database(client: Client, request: pytest.FixtureRequest) -> Database:
    return Database(client, request.param)

# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from labkit.client import Client
from labkit.fleet import Fleet

SERVERS = ["db-12", "db-13"]
REPOSITORY = "/var/lib/hardened-backup"
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")


@dataclass
class Database:
    client: Client
    host: str

    def run(self, *argv: str) -> str:
        return self.client.on(self.host, *argv)

    def sql(self, sql: str, database: str = "app") -> str:
        psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql)
        return self.run(*AS_POSTGRES, *psql).strip()

    def pgbackrest(self, *argv: str) -> str:
        return self.run(*AS_POSTGRES, "pgbackrest", f"--stanza={self.host}", *argv)

    @property
    def repository(self) -> str:
        """The host that its backups lie on."""
        return {"db-12": "db-12", "db-13": "repo-13"}[self.host]

    def there(self, command: str) -> str:
        return self.client.on(self.repository, "sh", "-c", command)

    @property
    def record(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.run("cat", "/var/lib/hardened/backup.json"))
        return loaded

    def alerts(self) -> list[dict[str, Any]]:
        lines = self.run("journalctl", "--identifier=hardened-backup", "--output=cat", "--no-pager")
        return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]

    def archived(self) -> None:
        """Wait until what was written is in the repository."""
        self.pgbackrest("check")


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("backup"))


@pytest.fixture(params=SERVERS)
def database(request: pytest.FixtureRequest, client: Client) -> Database:
    return Database(client, str(request.param))

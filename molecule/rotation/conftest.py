# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from labkit import inventory
from labkit.client import Client
from labkit.fleet import Fleet

APPS = ["app-1", "app-2"]
LOGINS = "SELECT rolname, rolcanlogin, rolpassword IS NOT NULL FROM pg_authid WHERE rolname IN ('app', 'app_alternate') ORDER BY 1"
Run = subprocess.CompletedProcess[str]


@dataclass
class Rotations:
    """The fleet and its secrets, as whoever replaces them sees both."""

    client: Client

    def rotate(self, *arguments: str) -> Run:
        return self.client.playbook("rotate.yml", *arguments)

    @property
    def secrets(self) -> dict[str, str]:
        """As the vault file has them now."""
        return Client(self.client.fleet).secrets

    def progress(self, name: str) -> dict[str, Any]:
        kept = self.secrets.get(f"{name}_rotation")
        return dict(json.loads(kept)) if kept else {"state": "idle", "pending": "", "previous": ""}

    def files(self) -> list[bytes]:
        """What lies on the controller of all secrets."""
        vault = inventory.secrets_file(self.client.fleet.name)
        registry = vault.with_name("registry.json")
        return [path.read_bytes() if path.exists() else b"" for path in (vault, registry)]

    def logins(self) -> dict[str, tuple[bool, bool]]:
        """Of the database: which may log in, and which have a password."""
        answer = self.client.on("db-1", "runuser", "-u", "postgres", "--", "psql", "-Atc", LOGINS)
        rows = [line.split("|") for line in answer.split()]
        return {name: (may == "t", has == "t") for name, may, has in rows}

    def admin(self, key: str) -> int:
        return self.client.request("GET", "/admin/keys", headers={"X-Admin-Key": key}).status

    def session(self, key: str) -> str:
        answer = self.client.request("POST", "/v1/session", headers={"X-API-Key": key})
        return str(answer.json["token"])

    def with_session(self, token: str) -> int:
        return self.client.request("GET", "/v1/items", headers={"Authorization": f"Bearer {token}"}).status


@dataclass
class Sessions:
    """A client that uses its old session all the time, and again and again begins a new one and uses it at once."""

    rotations: Rotations
    key: str
    statuses: Counter[int] = field(default_factory=Counter)

    def __enter__(self) -> Sessions:
        self._end = threading.Event()
        self._old = self.rotations.session(self.key)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            self.statuses[self.rotations.with_session(self._old)] += 1
            token = self.rotations.session(self.key)
            # Whichever slot comes next.
            for _again in range(3):
                self.statuses[self.rotations.with_session(token)] += 1
            time.sleep(0.1)


@pytest.fixture(scope="session")
def rotations() -> Rotations:
    """The fleet of the scenario, or with FLEET=lab the lab's."""
    return Rotations(Client(Fleet.load(os.environ.get("FLEET", "rotation"))))


@pytest.fixture
def api_key(rotations: Rotations) -> str:
    answer = rotations.client.request(
        "POST",
        "/admin/keys",
        headers={"X-Admin-Key": rotations.secrets["app_admin_api_key"]},
        body={"client": "rotation-tests"},
    )
    return str(answer.json["key"])

# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import LabError

PYTHON = "/usr/bin/python3.13"
PORTS = {"blue": 18441, "green": 18442}
GET = """
import sys, urllib.request, urllib.error
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=5)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    print(0, getattr(error, "reason", error)); sys.exit()
print(answer.status, answer.read().decode())
"""


@dataclass(frozen=True)
class Host:
    """One application host."""

    client: Client
    name: str

    def run(self, *argv: str) -> str:
        return self.client.on(self.name, *argv)

    def record(self, name: str = "release") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.run("cat", f"/var/lib/hardened/{name}.json"))
        return loaded

    @property
    def uid(self) -> int:
        """As whom the host knows the container's user 1000, who is nobody else there."""
        first = int(self.run("sed", "-n", "s/^dockremap:\\([0-9]*\\):65536$/\\1/p", "/etc/subuid"))
        assert first >= 100000
        return first + 1000

    @property
    def slot(self) -> str:
        return str(self.record()["slot"])

    @property
    def idle(self) -> str:
        return "green" if self.slot == "blue" else "blue"

    def pid(self, slot: str) -> str:
        return self.run("docker", "inspect", "--format={{.State.Pid}}", f"app-{slot}").strip()

    def get(self, slot: str, path: str = "/readyz") -> str:
        """Status and body of the container's answer on loopback; status 0 where there is none."""
        return self.run("python3", "-c", GET, f"http://127.0.0.1:{PORTS[slot]}{path}").strip()

    def inside(self, program: str, slot: str = "") -> str:
        return self.run("docker", "exec", f"app-{slot or self.slot}", PYTHON, "-c", program)

    def state(self) -> dict[str, str]:
        """All that a change would show in: files, records, and the processes in the slots."""
        places = "/etc/hardened/app /etc/hardened/listener /etc/credstore.encrypted/app-[bg]*"
        records = "/var/lib/hardened/release.json /var/lib/hardened/slot-* /etc/systemd/system/hardened-*"
        # What the last migration ran with serves nobody.
        script = f"sha256sum $(find {places} {records} -type f -not -path '*/migrate/*' 2>/dev/null)"
        state = {"files": self.run("sh", "-c", script)}
        for slot in PORTS:
            try:
                state[slot] = self.pid(slot)
            except LabError:
                state[slot] = "none"
        return state


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("app"))


@pytest.fixture(scope="session")
def hosts(client: Client) -> list[Host]:
    return [Host(client, name) for name in ("app-1", "app-2")]


@pytest.fixture(scope="session", params=["app-1", "app-2"])
def host(request: pytest.FixtureRequest, client: Client) -> Host:
    return Host(client, str(request.param))

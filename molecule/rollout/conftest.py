# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from labkit import registry
from labkit.client import Client
from labkit.fleet import Fleet

HERE = Path(__file__).resolve().parent
EDGES = ["edge-12", "edge-13"]
APPS = ["app-12", "app-13"]
Run = subprocess.CompletedProcess[str]


@dataclass
class Rollouts:
    """The fleet, as whoever releases sees it."""

    client: Client
    image: str
    number: int = 0

    def release(self, *arguments: str, playbook: str = "release.yml", name: str = "", **faults: float) -> Run:
        """A release that is bad in the given way, or good."""
        environment = {f"FAULT_{fault.upper()}": str(value) for fault, value in faults.items()}
        # Something has to be another, or there is nothing to release.
        environment["RELEASE"] = name or self.next_name()
        wanted = {"image": self.image, "release": environment["RELEASE"], "app_environment": environment}
        return self.client.playbook(playbook, "-e", json.dumps(wanted), *arguments)

    def next_name(self) -> str:
        self.number += 1
        taken = self.serving["release"]
        return f"r{self.number}-after-{taken[:12]}"

    def record(self, host: str, name: str = "rollout") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.client.on(host, "cat", f"/var/lib/hardened/{name}.json"))
        return loaded

    @property
    def serving(self) -> dict[str, Any]:
        """What both application hosts have on record, which is the same."""
        first, second = (self.record(host, "release") for host in APPS)
        assert first["release"] == second["release"]
        return first

    def weights(self) -> list[dict[str, int]]:
        """Of each edge, by where its links lead."""
        program = "cd /var/lib/hardened/edge/slots; readlink [0-9][0-9].sock"
        led = [self.client.on(edge, "sh", "-c", program).split() for edge in EDGES]
        return [dict(Counter(Path(target).stem for target in targets)) for targets in led]

    def phases(self) -> list[str]:
        return [str(self.record(edge)["phase"]) for edge in EDGES]


@pytest.fixture(scope="session")
def rollouts() -> Iterator[Rollouts]:
    client = Client(Fleet.load("rollout"))
    image = registry.push(client.fleet, client.addresses[registry.HOST], "2.0.0", package=HERE / "faulty")
    yield Rollouts(client, image)

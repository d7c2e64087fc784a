# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import podman

HERE = Path(__file__).resolve().parent
EDGES = ["edge-12", "edge-13"]
APPS = ["app-12", "app-13"]
HOSTS = ["log-13", *APPS, *EDGES]
Run = subprocess.CompletedProcess[str]


@dataclass
class Upkeep:
    """The fleet, as whoever keeps it up to date sees it."""

    client: Client
    script: str = field(default_factory=lambda: (HERE / "repository.sh").read_text(encoding="utf-8"))

    def on(self, host: str, command: str) -> str:
        return self.client.on(host, "sh", "-c", f"{self.script}\nset +e\n{command}")

    def offer(self, host: str, *builds: str) -> None:
        """Put versions into the host's sources."""
        self.on(host, "\n".join(["set -e", *(f"build {build}" for build in builds), "sources"]))

    def withdraw(self, host: str, pattern: str) -> None:
        self.on(host, f"rm -f /srv/*/{pattern}\nsources")

    def version(self, host: str, name: str = "upkeep-demo") -> str:
        return self.client.on(host, "dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", name)

    def record(self, host: str, name: str = "updates") -> dict[str, Any]:
        text = self.client.on(
            host, "sh", "-c", f"cat /var/lib/hardened/{name}.json 2>/dev/null || echo '{{}}'"
        )
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    def events(self, host: str, since: float) -> list[str]:
        """What the host has told since then."""
        said = self.client.on(
            host, "journalctl", "-t", "hardened", "-o", "cat", "--no-pager", f"--since=@{int(since)}"
        )
        return [json.loads(line)["event"] for line in said.splitlines() if line.startswith("{")]

    def runs_current_program(self, host: str) -> bool:
        script = "readlink /proc/$(systemctl show --property=MainPID --value upkeep-demo)/exe"
        return self.client.on(host, "sh", "-c", script).strip() == "/usr/lib/upkeep-demo/daemon"

    def patch(self, *arguments: str) -> Run:
        return self.client.playbook("patch.yml", *arguments)


class Power:
    """Switches on again what has switched itself off, as firmware does with a machine that restarts."""

    def __init__(self, fleet: Fleet, hosts: list[str]) -> None:
        self._fleet = fleet
        self._hosts = hosts
        self.restarted: list[str] = []

    def __enter__(self) -> Power:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for host in self._hosts:
                container = self._fleet.container(host)
                state = podman("inspect", "--format", "{{.State.Status}}", container, check=False).strip()
                if state == "exited":
                    podman("start", container)
                    self.restarted.append(host)
            time.sleep(0.5)


@pytest.fixture(scope="session")
def upkeep() -> Iterator[Upkeep]:
    yield Upkeep(Client(Fleet.load("maintenance")))

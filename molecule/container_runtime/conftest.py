# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from labkit import plays
from labkit.client import Client
from labkit.fleet import Fleet

PYTHON = "/usr/bin/python3.13"


@dataclass
class Engine:
    """The engine of one host, with the example's image, whose only program is Python."""

    client: Client
    host: str
    image: str

    def run(self, *argv: str) -> str:
        return self.client.on(self.host, *argv)

    def python(self, program: str, *options: str) -> str:
        """Run a program in a container of its own and return what it printed."""
        return self.run(
            *("docker", "run", "--rm", f"--entrypoint={PYTHON}", *options, self.image, "-c", program)
        )

    @property
    def root(self) -> int:
        """As whom the host knows a container's root."""
        return int(self.run("sed", "-n", "s/^dockremap:\\([0-9]*\\):65536$/\\1/p", "/etc/subuid"))

    def start(self, name: str, program: str, *options: str) -> str:
        """Leave a program running in a container; returns the id of its process on the host."""
        self.run("docker", "rm", "--force", name)
        entry = ("docker", "run", "--detach", f"--name={name}", f"--entrypoint={PYTHON}")
        self.run(*entry, *options, self.image, "-c", program)
        return self.pid(name)

    def pid(self, name: str) -> str:
        return self.run("docker", "inspect", "--format={{.State.Pid}}", name).strip()

    def address(self, name: str) -> str:
        return self.run("docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", name).strip()


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("container_runtime"))


@pytest.fixture(scope="session")
def inventory(client: Client) -> dict[str, Any]:
    text = (client.inventory / "generated.yml").read_text(encoding="utf-8")
    variables: dict[str, Any] = yaml.safe_load(text)["all"]["vars"]
    return variables


@pytest.fixture(scope="session", params=["runtime-12", "runtime-13"])
def engine(request: pytest.FixtureRequest, client: Client, inventory: dict[str, Any]) -> Iterator[Engine]:
    engine = Engine(client, str(request.param), inventory["app_image"])
    engine.run("docker", "pull", "--quiet", engine.image)
    yield engine
    containers = engine.run("docker", "ps", "--all", "--quiet").split()
    if containers:
        engine.run("docker", "rm", "--force", *containers)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    return plays.eventually

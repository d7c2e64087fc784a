# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from labkit import paths, registry
from labkit.client import Client
from labkit.fleet import Fleet

APPS = ["app-12", "app-13"]
DATABASE = "db-12"
AT_ONCE = ("-e", "canary=false", "-e", "rollout_watch=0")
Run = subprocess.CompletedProcess[str]
SOURCE = paths.CHECKOUT / "examples" / "reference_api" / "src" / "reference_api"
# What an image from before the column had instead.
BEFORE = {
    "schema.py": ('HEAD = "0003"\nCONTRACTED = "0005"', 'HEAD = "0002"\nCONTRACTED = "0002"'),
    "database.py": ("    size: Mapped[int | None]\n", ""),
    "routes/items.py": ("    size: int | None\n", ""),
}
AND_THERE = ("name=new.name, content=new.content, size=size", "name=new.name, content=new.content")


def image_before(client: Client, scratch: Path) -> str:
    """The example as it was before its third migration, pushed and signed."""
    package = scratch / "reference_api"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__", "000[345]_*"))
    for name, (now, then) in BEFORE.items():
        path = package / name
        text = path.read_text(encoding="utf-8")
        assert now in text, f"{name} has changed: say here what an image from before had instead"
        text = text.replace(now, then)
        if name == "routes/items.py":
            assert AND_THERE[0] in text
            text = text.replace(*AND_THERE)
        path.write_text(text, encoding="utf-8")
    return registry.push(client.fleet, client.addresses[registry.HOST], "0.9.0", package=package)


def succeeded(done: Run) -> str:
    """What it said, in one line, since Ansible breaks long ones anywhere."""
    assert done.returncode == 0, done.stdout[-4000:]
    return " ".join(done.stdout.split())


def refused(done: Run) -> str:
    assert done.returncode != 0, done.stdout[-4000:]
    return " ".join(done.stdout.split())


class Session:
    """One connection to the database, as its superuser."""

    def __init__(self, client: Client) -> None:
        container = client.fleet.container(DATABASE)
        psql = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "app"]
        self.process = subprocess.Popen(
            ["podman", "exec", "--interactive", container, *psql],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Session:
        return self

    def ask(self, statements: str) -> str:
        """Of the last one, the one line that it answers."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{statements}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, statements
        return line.strip()

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


@dataclass
class Deployment:
    """The fleet, as whoever releases sees it."""

    client: Client
    key: str = field(default="")

    def playbook(self, name: str, *arguments: str) -> Run:
        done = self.client.playbook(name, *arguments)
        words = done.stdout + done.stderr
        assert [secret for secret, value in self.client.secrets.items() if value in words] == []
        return done

    def record(self, host: str = APPS[0], name: str = "release") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.client.on(host, "cat", f"/var/lib/hardened/{name}.json"))
        return loaded

    def state(self) -> list[Any]:
        """All that a migration must not touch: what serves, what lies in the slots, and where requests go."""
        program = "cd /var/lib/hardened/edge/slots; readlink [0-9][0-9].sock | sort | uniq -c"
        slots = [self.record(host, name) for host in APPS for name in ("release", "slot-blue", "slot-green")]
        pids = [
            self.client.on(
                host, "docker", "inspect", "--format={{.Name}} {{.State.Pid}}", "app-blue", "app-green"
            )
            for host in APPS
        ]
        return [slots, pids, self.client.on("edge-1", "sh", "-c", program)]

    def sql(self, statement: str) -> str:
        argv = ("runuser", "-u", "postgres", "--", "psql", "-XAtqc", statement, "app")
        return self.client.on(DATABASE, *argv).strip()

    @contextmanager
    def busy(self, statement: str) -> Iterator[None]:
        """Somebody's transaction that stays open."""
        with Session(self.client) as session:
            session.ask(f"BEGIN; {statement}; SELECT 1;")
            yield

    @contextmanager
    def reading(self, statement: str) -> Iterator[list[float]]:
        """Somebody who reads all the time: how many seconds each answer took."""
        took: list[float] = []
        end = threading.Event()

        def read() -> None:
            with Session(self.client) as session:
                while not end.is_set():
                    began = time.monotonic()
                    session.ask(statement)
                    took.append(time.monotonic() - began)
                    time.sleep(0.02)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield took
        finally:
            end.set()
            reader.join(30)

    def create(self, name: str) -> int:
        if not self.key:
            self.key = str(self.client.admin("POST", "/admin/keys", {"client": "acme"}).json["key"])
        headers = {"X-API-Key": self.key}
        return self.client.request("POST", "/v1/items", headers=headers, body={"name": name}).status


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment(Client(Fleet.load("migrate")))


@pytest.fixture(scope="session")
def before(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> str:
    return image_before(deployment.client, tmp_path_factory.mktemp("image"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge as its clients see it, and the hosts behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit import inventory, paths
from labkit.fleet import Fleet

FLEET = "reverse_proxy"
SCENARIO = Path(__file__).parents[1]
EDGES = ("edge-12", "edge-13")
APPS = ("app-12", "app-13")


@dataclass
class Answer:
    status: int
    headers: dict[str, list[str]]
    body: bytes
    version: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """The one value of a header; a second one is as bad as none."""
        values = self.headers.get(name.lower(), [])
        assert len(values) == 1, f"{name}: {values}"
        return values[0]


@dataclass
class Lab:
    addresses: dict[str, str]
    domain: str
    ca: Path
    fleet: Fleet = field(repr=False)

    def run(self, host: str, *command: str, check: bool = True) -> str:
        """Run a command as root on a host."""
        argv = ["podman", "exec", self.fleet.container(host), *command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{host}: {command}: {done.stderr}"
        return done.stdout + done.stderr

    def playbook(self, name: str, **variables: object) -> subprocess.Popen[str]:
        argv = [
            str(paths.VENV_BIN / "ansible-playbook"),
            "-i",
            str(inventory.directory(FLEET)),
            str(SCENARIO / name),
        ]
        extra = ["-e", json.dumps(variables)]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg")}
        return subprocess.Popen(
            argv + extra, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def weights(self, *green: int) -> None:
        finish(self.playbook("weights.yml", weights=",".join(map(str, green))))


def finish(process: subprocess.Popen[str]) -> str:
    output, _nothing = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@dataclass
class Edge:
    name: str
    lab: Lab

    @property
    def address(self) -> str:
        return self.lab.addresses[self.name]

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.lab.ca))

    def connect(self, name: str | None = None, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A TLS connection to the edge's address, asking for a name."""
        plain = socket.create_connection((self.address, 443), 10)
        return (context or self.context()).wrap_socket(plain, server_hostname=name or self.lab.domain)

    def client(self) -> http.client.HTTPSConnection:
        """A client whose connection is kept."""
        connection = http.client.HTTPSConnection(self.lab.domain, timeout=40, context=self.context())
        connection._create_connection = lambda *_a, **_k: socket.create_connection((self.address, 443), 40)  # type: ignore[attr-defined]
        return connection

    def get(self, path: str = "/", *options: str, scheme: str = "https") -> Answer:
        """One request by curl; its options are curl's."""
        url = f"{scheme}://{self.lab.domain}{path}"
        argv = ["curl", "--silent", "--show-error", "--include", "--max-time", "40", "--path-as-is"]
        argv += ["--cacert", str(self.lab.ca), "--connect-to", f"::{self.address}:", *options, url]
        done = subprocess.run(argv, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return parse(done.stdout)

    def access_log(self, request_id: str) -> list[dict[str, Any]]:
        """The access log's lines of a request, once there are any; nginx writes them with a delay."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            lines = self.lab.run(self.name, "tail", "-n", "500", "/var/log/nginx/access.jsonl").splitlines()
            if mine := [json.loads(line) for line in lines if request_id in line]:
                return mine
            time.sleep(0.2)
        raise AssertionError(f"{self.name}: no line about {request_id}")

    def raw(self, request: bytes) -> Answer:
        """Send bytes as they are, which no well-behaved client would."""
        with self.connect() as connection:
            connection.sendall(request)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
        return parse(received)


def parse(received: bytes) -> Answer:
    head, _end, body = received.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _end, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _colon, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    version, status = first.split(" ")[:2]
    return Answer(int(status), headers, body, version)


@pytest.fixture(scope="session")
def lab() -> Lab:
    generated = (inventory.directory(FLEET) / "generated.yml").read_text(encoding="utf-8")
    everything: dict[str, Any] = yaml.safe_load(generated)["all"]
    addresses = {name: variables["ansible_host"] for name, variables in everything["hosts"].items()}
    ca = Path(everything["vars"]["pki_directory"]) / "ca.crt"
    return Lab(addresses, inventory.read(FLEET)["hardened_domain"], ca, Fleet.load(FLEET))


@pytest.fixture(scope="session", params=EDGES)
def edge(request: pytest.FixtureRequest, lab: Lab) -> Edge:
    return Edge(request.param, lab)


@pytest.fixture(scope="session", autouse=True)
def released(lab: Lab) -> None:
    """As after a first release: all requests go to blue."""
    lab.weights(0)


@pytest.fixture
def no_release(edge: Edge) -> Iterator[None]:
    """As before the first release: there are no links."""
    links = "/var/lib/hardened/edge/slots"
    edge.lab.run(edge.name, "mv", links, f"{links}.away")
    edge.lab.run(edge.name, "install", "-d", links)
    yield
    edge.lab.run(edge.name, "rmdir", links)
    edge.lab.run(edge.name, "mv", f"{links}.away", links)

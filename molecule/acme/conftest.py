# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge as clients and the ACME authority see it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import ssl
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import LabError, run

EDGES = ("edge-12", "edge-13")


@dataclass
class Edge:
    name: str
    client: Client

    @property
    def address(self) -> str:
        return self.client.addresses[self.name]

    def sh(self, script: str) -> str:
        return self.client.on(self.name, "sh", "-ec", script)

    def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection((self.address, 443), 10)
        return context.wrap_socket(plain, server_hostname=self.client.domain)

    def served(self) -> str:
        """Fingerprint of the certificate that clients get, whoever issued it."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with self.connect(context) as connection:
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()

    def trusted(self, authority: str) -> dict[str, Any]:
        """The certificate, for a client that trusts nobody but that authority."""
        context = ssl.create_default_context(cadata=authority)
        with self.connect(context) as connection:
            found: dict[str, Any] = dict(connection.getpeercert() or {})
            return found

    def http(self, path: str, *options: str) -> tuple[int, str, str]:
        """Status, Location and body of a request to port 80."""
        written = "\n%{http_code} %{redirect_url}"
        argv = [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--path-as-is",
            "--write-out",
            written,
        ]
        argv += ["--header", f"Host: {self.client.domain}", *options, f"http://{self.address}{path}"]
        body, _line, last = run(argv).stdout.rpartition("\n")
        status, _space, location = last.partition(" ")
        return int(status), location, body

    def start(self, verb: str, *options: str) -> bool:
        """Run the renewal as its unit does; whether it succeeded."""
        with contextlib.suppress(LabError):
            self.client.on(self.name, "systemctl", *options, "start", f"hardened-acme@{verb}.service")
            return True
        return False

    def lines(self) -> list[dict[str, Any]]:
        """What was told of certificates so far."""
        script = "journalctl --sync; journalctl --identifier nginx_certificate --output cat --no-pager"
        return [json.loads(line) for line in self.sh(script).splitlines() if line.startswith("{")]

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.sh("cat /var/lib/hardened/edge/acme/state.json"))
        return found

    def installed(self) -> list[str]:
        return self.sh("cd /etc/hardened/acme; stat -c '%n %a %U %G' *").splitlines()


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("acme"))


@pytest.fixture(scope="session", params=EDGES)
def edge(request: pytest.FixtureRequest, client: Client) -> Edge:
    return Edge(request.param, client)


@pytest.fixture(scope="session")
def eab_hmac(client: Client) -> str:
    """As the scenario's inventory makes it."""
    digest = hashlib.sha256(client.secrets["app_secret_key"].encode()).hexdigest()
    return base64.b64encode(digest[:48].encode()).decode()


@pytest.fixture
def root(client: Client) -> str:
    """The root of the ACME authority, which it makes anew at each start."""
    return root_of(client)


def root_of(client: Client) -> str:
    context = ssl.create_default_context(cafile=str(client.inventory / ".pki" / "ca.crt"))
    url = f"https://{client.addresses['outside']}:15000/roots/0"
    for _try in range(50):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return str(answer.read().decode())
        time.sleep(0.2)
    raise AssertionError("the ACME authority does not answer")

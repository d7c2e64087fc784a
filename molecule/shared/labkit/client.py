# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do to a fleet from outside: requests as clients make them, and playbooks as operators run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from . import inventory, paths
from .fleet import Fleet
from .podman import run

CONNECT = """
import socket
try:
    socket.create_connection(("{address}", {port}), 2).close()
    print("reached")
except OSError as error:
    print(type(error).__name__)
"""


@dataclass(frozen=True)
class Answer:
    status: int
    protocol: str
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]


@dataclass
class Client:
    """The fleet as seen from outside."""

    fleet: Fleet
    domain: str = field(init=False)

    def __post_init__(self) -> None:
        self.domain = str(inventory.read(self.fleet.name)["hardened_domain"])

    @property
    def inventory(self) -> Path:
        return inventory.directory(self.fleet.name)

    @cached_property
    def addresses(self) -> dict[str, str]:
        return self.fleet.addresses()

    @cached_property
    def secrets(self) -> dict[str, str]:
        view = [str(paths.VENV_BIN / "ansible-vault"), "view", str(inventory.secrets_file(self.fleet.name))]
        clear = subprocess.run(view, cwd=paths.CHECKOUT, capture_output=True, text=True, check=True).stdout
        loaded: dict[str, str] = yaml.safe_load(clear)
        return loaded

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: object = None
    ) -> Answer:
        """Make one request over HTTP/2 with the environment's authority as the only one trusted."""
        edge = next(host.name for host in self.fleet.hosts if "edge" in host.groups)
        lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
        with tempfile.TemporaryDirectory() as scratch:
            head, content = Path(scratch, "head"), Path(scratch, "body")
            command = [
                *("curl", "--silent", "--show-error", "--http2", "--max-time", "20", "--request", method),
                *("--cacert", str(self.inventory / ".pki" / "ca.crt")),
                *("--resolve", f"{self.domain}:443:{self.addresses[edge]}"),
                *("--header", "@-", "--dump-header", str(head), "--output", str(content)),
            ]
            if body is not None:
                command += ["--json", json.dumps(body)]
            run([*command, f"https://{self.domain}{path}"], stdin="\n".join(lines) + "\n")
            first, *rest = head.read_text(encoding="latin-1").strip().splitlines()
            parsed = dict(line.split(": ", 1) for line in rest if ": " in line)
            text = content.read_text(encoding="utf-8") if content.exists() else ""
        protocol, status = first.split()[:2]
        return Answer(int(status), protocol, {name.lower(): value for name, value in parsed.items()}, text)

    def admin(self, method: str, path: str, body: object = None) -> Answer:
        return self.request(
            method, path, headers={"X-Admin-Key": self.secrets["app_admin_api_key"]}, body=body
        )

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a verb as an operator would; its output is in the result, whatever its exit code."""
        # By this very Python, which may have the libraries of the secrets backends.
        command = [
            *(sys.executable, "-m", "ansible", "playbook"),
            "-i",
            str(self.inventory),
            f"playbooks/{name}",
            *arguments,
        ]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            # Molecule forces colours on, which are in the way of reading.
            "ANSIBLE_FORCE_COLOR": "false",
        }
        return subprocess.run(
            command, cwd=paths.CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )

    def on(self, host: str, *command: str) -> str:
        """Run a command as root on a host and return what it printed."""
        return run(self.fleet.argv(host, *command)).stdout

    def serving(self, host: str) -> str:
        """The container that serves on a host."""
        record = json.loads(self.on(host, "cat", "/var/lib/hardened/release.json"))
        return f"app-{record['slot']}"

    def in_app(self, host: str, program: str) -> str:
        """Run a Python program in the container that serves, and return what it printed."""
        return self.on(host, "docker", "exec", self.serving(host), "/usr/bin/python3.13", "-c", program)

    def reach(self, source: str | None, address: str, port: int) -> str:
        """Open a TCP connection from a host, or from outside: `reached`, or why not.

        `TimeoutError` is what was dropped, `ConnectionRefusedError` a port that nothing listens on.
        """
        program = CONNECT.format(address=self.addresses.get(address, address), port=port)
        if source is None:
            return run([sys.executable, "-c", program]).stdout.strip()
        return self.on(source, "python3", "-c", program).strip()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of both log roles need: hosts reached as an operator reaches them, and the collector's files."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from labkit import inventory, paths
from labkit.fleet import Fleet

STORE = "/var/log/hardened"
Completed = subprocess.CompletedProcess[str]
Line = dict[str, Any]
T = TypeVar("T")
PATIENCE = 60


class Hosts:
    """The hosts of a scenario, as root by way of SSH and sudo."""

    def __init__(self, scenario: str) -> None:
        self.fleet = Fleet.load(scenario)
        self.inventory = inventory.directory(scenario)
        self.generated = yaml.safe_load((self.inventory / "generated.yml").read_text(encoding="utf-8"))["all"]
        self.addresses = {name: host["ansible_host"] for name, host in self.generated["hosts"].items()}
        self.collectors = [host.name for host in self.fleet.hosts if "logs" in host.groups]
        self.clients = [host.name for host in self.fleet.hosts if "logs" not in host.groups]

    def run(self, host: str, command: str, *, check: bool = True, stdin: str | None = None) -> Completed:
        variables = self.generated["vars"]
        control = f"{paths.control_sockets(self.fleet.name)}/%n"
        options = [
            *shlex.split(variables["ansible_ssh_common_args"]),
            "-i",
            variables["ansible_ssh_private_key_file"],
        ]
        options += [
            "-o",
            "ControlMaster=auto",
            "-o",
            f"ControlPath={control}",
            "-o",
            "ControlPersist=60",
            "-o",
            "LogLevel=ERROR",
        ]
        login = f"{variables['ansible_user']}@{self.addresses[host]}"
        # By standard input: sudo logs its arguments, and the words that tests look for must not come from there.
        script = command
        if stdin is not None:
            data = base64.b64encode(stdin.encode()).decode()
            script = f"echo {data} | base64 -d | {command}"
        argv = ["ssh", *options, login, "sudo sh -s"]
        done = subprocess.run(argv, text=True, capture_output=True, input=script, timeout=120, check=False)
        assert not check or done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
        return done

    def out(self, host: str, command: str) -> str:
        return self.run(host, command).stdout.strip()

    def python(self, host: str, program: str) -> str:
        return self.run(host, "python3 -", stdin=program).stdout

    def found(self, word: str, collector: str | None = None) -> dict[str, Line]:
        """Lines of a collector with the word in them, by the file that they are in."""
        where = collector or self.collectors[0]
        # rsyslog holds a file open for ten minutes, yet writes each line at once.
        text = self.run(where, f"grep -rF -- {shlex.quote(word)} {STORE}", check=False).stdout
        return {
            line.split(":", 1)[0].removeprefix(f"{STORE}/"): parsed(line.split(":", 1)[1])
            for line in text.splitlines()
        }

    def arrived(self, word: str, collector: str | None = None) -> tuple[str, Line]:
        """The file and the content of the one line with the word."""
        lines = wait_until(lambda: self.found(word, collector), f"no line with {word}")
        assert len(lines) == 1, lines
        return next(iter(lines.items()))

    def numbers(self, word: str, collector: str | None = None) -> set[int]:
        """What follows the word in the stored lines, each a number."""
        where = collector or self.collectors[0]
        text = self.run(where, f"grep -rhoE -- '{word} [0-9]+' {STORE}", check=False).stdout
        return {int(line.split()[-1]) for line in text.splitlines()}


def parsed(text: str) -> Line:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    line = json.loads(text, parse_constant=refuse)
    assert isinstance(line, dict)
    return line


def wait_until(probe: Callable[[], T], otherwise: str) -> T:
    """The first true answer of the probe. A busy machine is no failure, so it has time."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"{otherwise} after {PATIENCE} s"
        time.sleep(0.2)
    return answer


def word() -> str:
    return f"w{uuid.uuid4().hex}"


RELP = """
import socket, ssl, sys
address, port, tls, certificate, message = {address!r}, {port}, {tls}, {certificate!r}, {message!r}
try:
    link = socket.create_connection((address, port), timeout=5)
    if tls:
        context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
        if certificate:
            context.load_cert_chain(certificate + ".crt", certificate + ".key")
        link = context.wrap_socket(link, server_hostname="logs.lab.internal")
    offer = b"relp_version=0\\nrelp_software=test\\ncommands=syslog"
    link.sendall(b"1 open %d %s\\n" % (len(offer), offer))
    answer = link.recv(4096)
    link.sendall(b"2 syslog %d %s\\n" % (len(message), message))
    print("accepted" if b"200 OK" in answer and b"200 OK" in link.recv(4096) else "refused")
except OSError as error:
    print("refused", error)
"""


def relp(
    hosts: Hosts,
    client: str,
    message: bytes,
    *,
    certificate: str = "/etc/hardened/pki/host",
    tls: bool = True,
    collector: str = "",
) -> str:
    """Send a message as another program would, without rsyslog; returns what became of it."""
    address = hosts.addresses[collector or hosts.collectors[0]]
    return hosts.python(
        client, RELP.format(address=address, port=20514, tls=tls, certificate=certificate, message=message)
    ).split()[0]

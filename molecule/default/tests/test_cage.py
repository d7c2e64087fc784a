# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars of the cage, and the doors that have to be shut, tried from where an attacker would stand."""

from __future__ import annotations

import socket

import pytest
from labkit.client import Client

APP_HOSTS = ("app-1", "app-2")


@pytest.mark.parametrize("host", APP_HOSTS)
def test_the_process_has_no_powers(client: Client, host: str) -> None:
    pid = client.on(host, "docker", "inspect", "--format", "{{.State.Pid}}", client.serving(host)).strip()
    status = dict(
        line.split(":\t", 1)
        for line in client.on(host, "cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    first = int(client.on(host, "cat", f"/proc/{pid}/uid_map").split()[1])
    assert status["CapEff"] == "0000000000000000"
    assert status["CapBnd"] == "0000000000000000"
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    # On the host that is nobody: users of containers are users of their own.
    assert first >= 100000
    assert status["Uid"].split() == [str(first + 1000)] * 4


@pytest.mark.parametrize("host", APP_HOSTS)
def test_the_root_cannot_be_written(client: Client, host: str) -> None:
    program = """
import errno, pathlib
for place in ("/", "/run/secrets", "/run/hardened/log", "/etc/hardened/pki", "/usr/lib"):
    try:
        pathlib.Path(place, "x").write_text("x")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    refusals = client.in_app(host, program).split()
    assert len(refusals) == 5
    assert set(refusals) <= {"EROFS", "EACCES"}


@pytest.mark.parametrize("host", APP_HOSTS)
def test_no_secret_outside_its_file(client: Client, host: str) -> None:
    container = client.serving(host)
    pid = client.on(host, "docker", "inspect", "--format", "{{.State.Pid}}", container).strip()
    places = [
        client.on(host, "docker", "inspect", container),
        client.on(host, "cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline"),
        client.on(host, "systemctl", "show", f"hardened-app@{container.removeprefix('app-')}.service"),
        client.on(host, "journalctl", "--no-pager", "--quiet"),
    ]
    for name, value in client.secrets.items():
        assert not any(value in place for place in places), name


@pytest.mark.parametrize("host", APP_HOSTS)
@pytest.mark.parametrize("port", [8000, 18441, 18442])
def test_containers_cannot_be_reached_past_the_listener(client: Client, host: str, port: int) -> None:
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((client.addresses[host], port), timeout=2)


@pytest.mark.parametrize("host", APP_HOSTS)
def test_the_listener_admits_only_the_edge(client: Client, host: str) -> None:
    url = f"https://{client.addresses[host]}:8441/healthz"
    assert client.reach("db-1", host, 8441) == "TimeoutError"
    # Without the firewall too: nginx answers 400 to a client without a certificate, the listener 403 to a host that is not the edge.
    program = f"""
import ssl, urllib.request, urllib.error
context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
for own in (False, True):
    if own:
        context.load_cert_chain("/etc/hardened/pki/host.crt", "/etc/hardened/pki/host.key")
    try:
        print(urllib.request.urlopen("{url}", context=context, timeout=5).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
    assert client.on("edge-1", "python3", "-c", program).split() == ["400", "200"]
    client.on(host, "nft", "insert", "rule", "inet", "hardened_firewall", "input", "accept")
    try:
        assert client.on("db-1", "python3", "-c", program).split() == ["400", "403"]
    finally:
        client.on(host, "systemctl", "reload", "hardened-firewall.service")

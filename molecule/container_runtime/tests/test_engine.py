# SPDX-License-Identifier: GPL-3.0-or-later
"""What containers and their neighbours can and cannot do under this engine."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from labkit.client import Client
from labkit.podman import LabError

# What the image's own tools cannot: it has neither a shell nor a setuid program.
SERVE = """
import http.server
http.server.ThreadingHTTPServer(("", 8000), http.server.BaseHTTPRequestHandler).serve_forever()
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection(("{address}", {port}), 3)
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture(scope="module")
def server(engine: Any, eventually: Eventually) -> Iterator[str]:
    """A container that serves on 8000, published on port 18000 as the engine publishes by default."""
    engine.start("server", SERVE, "--publish=18000:8000")
    eventually(lambda: reach(engine, "127.0.0.1", 18000) == "connected")
    yield "server"
    engine.run("docker", "rm", "--force", "server")


def reach(engine: Any, address: str, port: int) -> str:
    answer: str = engine.run("python3", "-c", CONNECT.format(address=address, port=port))
    return answer.strip()


@pytest.fixture
def setuid_python(engine: Any) -> Iterator[str]:
    """The image's Python as a setuid program, which is what an attacker would look for."""
    place = "/var/lib/setuid"
    engine.run("install", "-d", place)
    engine.run("docker", "create", "--name=source", engine.image)
    engine.run("docker", "cp", "--follow-link", "source:/usr/bin/python3.13", f"{place}/python")
    engine.run("docker", "rm", "source")
    engine.run("chown", f"{engine.root}:{engine.root}", f"{place}/python")
    engine.run("chmod", "4755", f"{place}/python")
    yield place
    engine.run("rm", "-r", place)


def test_a_setuid_program_gains_nothing(engine: Any, setuid_python: str) -> None:
    program = (
        "import os; print(os.geteuid(), open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])"
    )
    options = ("--user=1000:1000", f"--volume={setuid_python}:/x:ro", "--entrypoint=/x/python")
    assert engine.python(program, *options).split() == ["1000", "1"]
    # The same program does gain where the engine's setting is taken back, so it is the setting that stops it.
    assert engine.python(program, *options, "--security-opt=no-new-privileges=false").split() == ["0", "0"]


def test_containers_cannot_reach_each_other(engine: Any, server: str) -> None:
    address = engine.address(server)
    assert reach(engine, address, 8000) == "connected"
    assert engine.python(CONNECT.format(address=address, port=8000)).strip() == "TimeoutError"


def test_a_published_port_is_on_loopback_only(client: Client, engine: Any, server: str) -> None:
    assert reach(engine, "127.0.0.1", 18000) == "connected"
    assert reach(engine, client.addresses[engine.host], 18000) != "connected"
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((client.addresses[engine.host], 18000), 3)


def test_a_neighbour_cannot_route_to_a_container(client: Client, engine: Any, server: str) -> None:
    """Not even one on the same wire that sends packets for the container's own address to this host."""
    other = next(host for host in ("runtime-12", "runtime-13") if host != engine.host)
    address = engine.address(server)
    with contextlib.suppress(LabError):
        client.on(other, "ip", "route", "del", f"{address}/32")
    client.on(other, "ip", "route", "add", f"{address}/32", "via", client.addresses[engine.host])
    try:
        program = CONNECT.format(address=address, port=8000)
        assert client.on(other, "python3", "-c", program).strip() == "TimeoutError"
    finally:
        client.on(other, "ip", "route", "del", f"{address}/32")


def test_a_port_published_on_purpose_is_reached(client: Client, engine: Any, eventually: Eventually) -> None:
    address = client.addresses[engine.host]
    other = next(host for host in ("runtime-12", "runtime-13") if host != engine.host)
    engine.start("public", SERVE, f"--publish={address}:18001:8000")
    program = CONNECT.format(address=address, port=18001)
    eventually(lambda: client.on(other, "python3", "-c", program).strip() == "connected")
    engine.run("docker", "rm", "--force", "public")


def test_no_process_stands_in_front_of_a_container(engine: Any, server: str) -> None:
    assert "docker-proxy" not in engine.run("ps", "-e", "-o", "args")


def test_containers_reach_the_outside(client: Client, engine: Any) -> None:
    program = CONNECT.format(address=client.addresses["registry-1"], port=5000)
    assert engine.python(program).strip() == "connected"


def test_a_container_has_the_limit_of_open_files(engine: Any) -> None:
    program = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert engine.python(program).split() == ["16384", "16384"]


def test_what_a_container_prints_is_in_the_journal(engine: Any, eventually: Eventually) -> None:
    word = f"printed-{time.time_ns()}"
    engine.python(f"import sys; print('{word}'); print('{word}', file=sys.stderr)", "--name=printer")
    shown = ("journalctl", "CONTAINER_NAME=printer", "--output=json", f"--grep={word}", "--quiet")
    eventually(lambda: engine.run(*shown, "--no-pager").count(word) >= 2)
    priorities = {json.loads(line)["PRIORITY"] for line in engine.run(*shown, "--no-pager").splitlines()}
    assert priorities == {"6", "3"}


def test_a_registry_is_trusted_by_its_own_authority_only(engine: Any) -> None:
    registry = engine.image.split("/")[0]
    entry = f"/etc/docker/certs.d/{registry}"
    pull = ("docker", "pull", "--quiet", engine.image)
    assert engine.run(*pull).strip() == engine.image
    engine.run("mv", entry, "/etc/docker/away")
    try:
        with pytest.raises(LabError, match="certificate signed by unknown authority"):
            engine.run(*pull)
    finally:
        engine.run("mv", "/etc/docker/away", entry)
    assert engine.run(*pull).strip() == engine.image


def test_another_digest_is_not_what_was_asked_for(engine: Any) -> None:
    wrong = engine.image.partition("@")[0] + "@sha256:" + "0" * 64
    with pytest.raises(LabError, match=r"manifest unknown|not found"):
        engine.run("docker", "pull", "--quiet", wrong)


def test_the_engine_listens_on_its_socket_only(engine: Any) -> None:
    listening = [line.split()[3] for line in engine.run("ss", "-tlnpH").splitlines() if "dockerd" in line]
    # Metrics, and ports that containers of these tests publish.
    assert all(re.fullmatch(r"127\.0\.0\.1:(9323|18\d+)", address) for address in listening), listening
    assert engine.run("stat", "-c", "%U:%G %a", "/var/run/docker.sock").strip() == "root:docker 660"
    assert engine.run("getent", "group", "docker").strip().endswith(":")


def test_the_engine_shows_its_metrics_on_loopback(client: Client, engine: Any) -> None:
    read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9323/metrics', timeout=5).read().decode())"
    if engine.host == "runtime-12":
        with pytest.raises(LabError, match="refused"):
            engine.run("python3", "-c", read)
    else:
        assert "engine_daemon_container_states_containers" in engine.run("python3", "-c", read)
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((client.addresses[engine.host], 9323), 2)


def test_containers_have_the_collection_s_profile_by_themselves(engine: Any) -> None:
    program = "import os; os.memfd_create('x'); print('made')"
    with pytest.raises(LabError, match="Operation not permitted"):
        engine.python(program)
    assert engine.python(program, "--security-opt=seccomp=unconfined").strip() == "made"


def test_root_in_a_container_is_nobody_outside(engine: Any) -> None:
    pid = engine.start("as-root", "import time; time.sleep(60)", "--user=0")
    try:
        assert engine.root >= 100000
        assert engine.run("stat", "-c", "%u", f"/proc/{pid}").strip() == str(engine.root)
        # What belongs to the host's root is another's there.
        read = (
            "docker",
            "run",
            "--rm",
            "--user=0",
            "--entrypoint=/usr/bin/python3.13",
            "--volume=/etc/shadow:/shadow:ro",
        )
        with pytest.raises(LabError, match="Permission denied"):
            engine.run(*read, engine.image, "-c", "print(open('/shadow').read())")
    finally:
        engine.run("docker", "rm", "--force", "as-root")

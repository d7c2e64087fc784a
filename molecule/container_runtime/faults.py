# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: the engine restarts and is told nonsense while containers run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from labkit.client import Client
from labkit.podman import LabError

CONVERGE = "../molecule/container_runtime/converge.yml"
DAEMON = "/etc/docker/daemon.json"
TICK = """
import itertools, time
for number in itertools.count():
    print("tick", number, flush=True)
    time.sleep(0.2)
"""
Eventually = Callable[[Callable[[], bool]], None]


@pytest.fixture
def ticker(engine: Any) -> str:
    """A container that has to live through everything, by the id of its process."""
    pid: str = engine.start("ticker", TICK)
    assert int(pid)
    return pid


def ticks(engine: Any) -> int:
    return len(engine.run("journalctl", "CONTAINER_NAME=ticker", "--output=cat", "--quiet").splitlines())


def started(engine: Any) -> str:
    shown: str = engine.run("systemctl", "show", "docker.service", "--property=ExecMainPID,ActiveState")
    return shown


def converge(client: Client, engine: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return client.playbook(CONVERGE, "--limit", engine.host, *arguments)


def changed(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found
    return int(found[1])


def test_containers_live_through_a_restart_of_the_engine(
    engine: Any, ticker: str, eventually: Eventually
) -> None:
    engine.run("systemctl", "restart", "docker.service")
    assert engine.pid("ticker") == ticker
    assert engine.run("iptables", "--table=mangle", "--list-rules").count("-j DROP") == 1
    before = ticks(engine)
    eventually(lambda: ticks(engine) > before + 3)


def test_containers_live_through_the_engine_s_death(engine: Any, ticker: str, eventually: Eventually) -> None:
    dead = engine.run("systemctl", "show", "--value", "--property=MainPID", "docker.service").strip()
    engine.run("kill", f"-{int(signal.SIGKILL)}", dead)
    eventually(lambda: started(engine).count("active") == 1 and dead not in started(engine))
    eventually(lambda: engine.run("sh", "-c", "docker version >/dev/null 2>&1; echo $?").strip() == "0")
    assert engine.pid("ticker") == ticker


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("container_runtime_bind_address=not-an-address", "not-an-address"),
        ("container_runtime_log_driver=none-such", "one of: journald, local"),
        ("container_runtime_open_files=many", "many"),
    ],
)
def test_a_setting_that_the_engine_cannot_take_changes_nothing(
    client: Client, engine: Any, ticker: str, setting: str, words: str
) -> None:
    before = engine.run("sha256sum", DAEMON)
    done = converge(client, engine, "-e", setting)
    assert done.returncode != 0
    assert words in done.stdout
    assert engine.run("sha256sum", DAEMON) == before
    assert engine.run("docker", "version", "--format={{.Server.Version}}").strip()
    assert engine.pid("ticker") == ticker


def test_a_changed_setting_restarts_the_engine_once_and_no_container(
    client: Client, engine: Any, ticker: str
) -> None:
    before = started(engine)
    planned = converge(client, engine, "--check", "--diff", "-e", "container_runtime_open_files=8192")
    assert changed(planned) == 1
    assert re.search(r'^\+.*"Hard": 8192', planned.stdout, re.MULTILINE)
    assert started(engine) == before
    assert changed(converge(client, engine, "-e", "container_runtime_open_files=8192")) == 1
    assert started(engine) != before
    program = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert engine.python(program).split() == ["8192", "8192"]
    assert changed(converge(client, engine)) == 1
    assert engine.pid("ticker") == ticker


def test_users_are_not_mapped_anew_under_containers(client: Client, engine: Any, ticker: str) -> None:
    before = engine.run("sha256sum", DAEMON)
    done = converge(client, engine, "-e", '{"container_runtime_userns_remap": false}')
    assert done.returncode != 0
    assert "containers exist that the engine would lose" in " ".join(done.stdout.split())
    assert engine.run("sha256sum", DAEMON) == before
    assert engine.pid("ticker") == ticker


def test_what_was_edited_by_hand_is_put_right(client: Client, engine: Any, ticker: str) -> None:
    engine.run("sh", "-c", f'echo \'{{"userns-remap": "default"}}\' > {DAEMON}')
    engine.run("rm", f"/etc/docker/certs.d/{engine.image.split('/')[0]}/ca.crt")
    engine.run("systemctl", "restart", "docker.service")
    # Without live-restore the engine would take its containers down with it: it must not be the repair that does.
    engine.run("docker", "start", "ticker")
    assert changed(converge(client, engine)) == 1
    assert changed(converge(client, engine)) == 0
    assert os.path.basename(DAEMON) in engine.run("ls", "/etc/docker")


def test_a_profile_that_was_opened_is_closed_again(client: Client, engine: Any, ticker: str) -> None:
    # Docker wants at least one rule in a profile, or takes it for none.
    opened = (
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]}'
    )
    engine.run("sh", "-c", f"echo '{opened}' > /etc/docker/seccomp.json; systemctl restart docker.service")
    program = "import os; os.memfd_create('x'); print('made')"
    assert engine.python(program).strip() == "made"
    # The engine reads it when it starts, so the repair is one only with a restart.
    assert changed(converge(client, engine)) == 1
    with pytest.raises(LabError, match="Operation not permitted"):
        engine.python(program)
    assert engine.pid("ticker") == ticker


def test_a_registry_whose_authority_is_not_there_is_refused(client: Client, engine: Any) -> None:
    wanted = '{"container_runtime_registries": [{"host": "elsewhere:5000", "ca_file": "/nowhere/ca.crt"}]}'
    before = engine.run("find", "/etc/docker", "-type", "f")
    done = converge(client, engine, "-e", wanted)
    assert done.returncode != 0
    assert "/nowhere/ca.crt" in done.stdout
    assert engine.run("find", "/etc/docker", "-type", "f") == before

# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: what must not keep a host in an incident, nor one from being looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from labkit import paths, plays
from labkit.podman import podman

HOSTS = ("app-12", "app-13")
per_host = pytest.mark.parametrize("host", HOSTS)
OPEN = ("open", "--case=c1", "--reason=a fault")


def reached(desk: Any, target: str) -> str:
    source = HOSTS[1 - HOSTS.index(target)]
    desk.client.on(source, "ip", "neighbour", "flush", "dev", "eth0")
    return str(desk.client.reach(source, target, 8441))


def off_and_on(desk: Any, host: str, seconds: float = 0) -> None:
    podman("kill", "--signal", "KILL", desk.client.fleet.container(host))
    time.sleep(seconds)
    podman("start", desk.client.fleet.container(host))


@per_host
def test_a_restart_keeps_a_host_cut_off_until_its_time(desk: Any, host: str) -> None:
    before = desk.look(host)
    # By an operator's session, as isolation wants one to come back to.
    desk.client.on(
        host,
        "sh",
        "-c",
        f"SSH_CONNECTION='192.0.2.1 1 192.0.2.2 22' hardened-incident {' '.join(OPEN[:2])} --reason=fault --isolate --ttl=40s",
    )
    assert reached(desk, host) == "ConnectionRefusedError"
    # Nobody can see from outside that it is up again.
    off_and_on(desk, host)
    plays.eventually(lambda: "hardened_isolation" in desk.client.on(host, "nft", "list", "tables"), 20)
    assert reached(desk, host) != "reached"
    plays.eventually(lambda: desk.program(host, "status") == {}, 90)
    assert desk.left({host: before}) == {}
    plays.eventually(lambda: reached(desk, host) == "reached", 20)


@per_host
def test_what_ended_while_the_host_was_off_does_not_come_back(desk: Any, host: str) -> None:
    before = desk.look(host)
    desk.program(host, *OPEN, "--ttl=11s")
    off_and_on(desk, host, 12)
    plays.eventually(lambda: reached(desk, host) == "reached", 60)
    assert desk.left({host: before}) == {} and desk.program(host, "status") == {}


@per_host
def test_what_clears_all_rules_brings_the_measures_back(desk: Any, host: str) -> None:
    desk.program(host, *OPEN)
    desk.client.on(host, "systemctl", "restart", "nftables.service")
    assert "hardened_incident" in desk.client.on(host, "nft", "list", "tables")


def test_a_controller_that_is_killed_leaves_nothing_that_needs_it(desk: Any) -> None:
    before = {host: desk.look(host) for host in HOSTS}
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-i",
        str(desk.client.inventory),
        "playbooks/incident.yml",
    ]
    wanted = ["-e", "state=open", "-e", "case=killed", "-e", "reason=fault", "-e", "ttl=15s"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg")}
    with subprocess.Popen(
        [*command, *wanted],
        cwd=paths.CHECKOUT,
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        plays.eventually(lambda: any(desk.program(host, "status") for host in HOSTS), 60)
        os.killpg(run.pid, signal.SIGKILL)
    plays.eventually(lambda: desk.left(before) == {}, 40)


def test_a_host_that_can_write_nothing_is_cut_off_all_the_same(desk: Any) -> None:
    client = desk.client
    client.on("app-12", "mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/var/lib/hardened-incident")
    try:
        done = desk.verb(state="open", case="full", reason="fault", host="app-12", isolate="true")
        assert done.returncode != 0 and "no evidence could be taken" in " ".join(done.stdout.split())
        assert reached(desk, "app-12") == "ConnectionRefusedError"
        assert desk.program("app-13", "status")["case"] == "full"
    finally:
        client.on("app-12", "umount", "/var/lib/hardened-incident")


def test_a_host_that_is_away_does_not_keep_the_others_from_it(desk: Any) -> None:
    podman("kill", "--signal", "KILL", desk.client.fleet.container("app-12"))
    try:
        done = desk.verb(state="open", case="away", reason="fault")
        assert done.returncode != 0 and "This host could not be reached" in " ".join(done.stdout.split())
        assert desk.program("app-13", "status")["case"] == "away"
    finally:
        podman("start", desk.client.fleet.container("app-12"))
        plays.eventually(lambda: reached(desk, "app-12") == "reached", 60)
    assert desk.program("app-12", "status") == {}

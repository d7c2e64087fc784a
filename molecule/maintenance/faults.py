# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates under the eyes of clients: planned, brought, refused, failed and taken back, interrupted, and with a restart of the host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from labkit import paths
from labkit.load import Load
from labkit.plays import changes, eventually

from molecule.maintenance.conftest import APPS, EDGES, HOSTS, Power, Run, Upkeep

SPARED = [*APPS, *EDGES]


def succeeded(done: Run) -> str:
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return done.stdout


def refused(done: Run) -> str:
    assert done.returncode != 0, done.stdout[-4000:]
    return done.stdout


def words(text: str) -> str:
    """Ansible breaks lines where it likes."""
    return " ".join(text.split())


# Also of a run that was killed.
CLEAR = (
    "systemctl stop upkeep-demo; apt-get purge --yes -qq upkeep-demo upkeep-other >/dev/null 2>&1;"
    "mv /etc/apt/sources.aside/* /etc/apt/ 2>/dev/null;"
    "rm -rf /srv/security /srv/updates /etc/apt/sources.list.d/lab.list; true"
)


@pytest.fixture(scope="module", autouse=True)
def installed(upkeep: Upkeep) -> Iterator[None]:
    """One package on each host, with a service, in version 1."""
    for host in HOSTS:
        upkeep.on(host, CLEAR)
        upkeep.offer(host, "upkeep-demo 1 security 0 0", "upkeep-other 1 updates 0 0")
        upkeep.on(
            host, "apt-get install --yes -qq upkeep-demo upkeep-other >/dev/null; systemctl start upkeep-demo"
        )
    yield
    for host in HOSTS:
        upkeep.on(host, CLEAR)


def test_nothing_pending_is_nothing_done(upkeep: Upkeep) -> None:
    # What the base image's own age has left to do is done first.
    succeeded(upkeep.patch())
    started = time.time()
    done = upkeep.patch()
    print(f"nothing pending: {time.time() - started:.1f} s")
    assert changes(done) == {0}, succeeded(done)
    assert "nothing to do" in done.stdout


def test_a_plan_is_true_and_changes_nothing(upkeep: Upkeep) -> None:
    for host in HOSTS:
        upkeep.offer(host, "upkeep-demo 2 security 0 0", "upkeep-other 2 updates 0 0")
    started = time.time()
    output = words(succeeded(upkeep.patch("--check", "--diff")))
    assert output.count("upkeep-demo 1 -> 2 (security)") == len(HOSTS)
    assert "upkeep-other" not in output
    assert output.count("taken out of the balance") == len(SPARED)
    assert [upkeep.version(host) for host in HOSTS] == ["1 installed"] * len(HOSTS)
    assert [upkeep.events(host, started) for host in HOSTS] == [[]] * len(HOSTS)
    everything = words(succeeded(upkeep.patch("--check", "-e", "updates=all")))
    assert everything.count("upkeep-other 1 -> 2'") == len(HOSTS)


def test_updates_come_under_load_and_no_request_is_lost(upkeep: Upkeep) -> None:
    for host in HOSTS:
        upkeep.offer(host, "upkeep-demo 2 security 0 0", "upkeep-other 2 updates 0 0")
    started = time.time()
    with Load(upkeep.client, connections=20, pause=0.1, failover=True) as load:
        output = succeeded(upkeep.patch())
    print(f"updates on {len(HOSTS)} hosts: {load.words}; whole run {time.time() - started:.0f} s")
    assert load.lost == []
    assert set(load.since(0)) == {200}
    assert output.count("0 connections cut") == len(SPARED)
    for host in HOSTS:
        assert upkeep.version(host) == "2 installed"
        assert upkeep.runs_current_program(host), "its service was restarted"
        record = upkeep.record(host)
        assert record["phase"] == "applied"
        assert [(one["name"], one["before"], one["after"]) for one in record["packages"]] == [
            ("upkeep-demo", "1", "2")
        ]
        expected = ["updates_applied", "services_restarted"]
        if host in SPARED:
            expected = ["host_drained", *expected, "host_serving"]
        expected.append("upkeep_done")
        own = [event for event in upkeep.events(host, started) if not event.startswith("release_lock")]
        assert own == expected
        assert upkeep.version(host, "upkeep-other") == "1 installed"
    assert changes(upkeep.patch()) == {0}


def test_an_update_that_fails_is_taken_back_and_goes_no_further(upkeep: Upkeep) -> None:
    before = [upkeep.version(host) for host in SPARED]
    for host in SPARED:
        upkeep.offer(host, "upkeep-demo 3 security 0 1")
    started = time.time()
    with Load(upkeep.client, connections=10, pause=0.1, failover=True) as load:
        output = words(refused(upkeep.patch()))
    print(f"a failed update: {load.words}; whole run {time.time() - started:.0f} s")
    assert load.lost == [] and set(load.since(0)) == {200}
    first, *others = SPARED
    assert (
        f"{first} has the packages of before, and serves. Hosts that come after it were not touched" in output
    )
    assert "upkeep-demo" in output and "Next: mend the cause" in output
    assert [upkeep.version(host) for host in SPARED] == before
    assert upkeep.record(first)["phase"] == "reverted"
    assert upkeep.record(first, "drain") == {}
    assert [upkeep.events(host, started) for host in others] == [[]] * len(others)
    assert not upkeep.record(APPS[0], "lock")["held"]
    # The way on that the message names.
    output = succeeded(upkeep.patch("--check", "-e", '{"maintenance_hold": ["upkeep-demo"]}'))
    assert words(output).count("held: upkeep-demo") == len(SPARED)
    for host in SPARED:
        upkeep.withdraw(host, "upkeep-demo_3_all.deb")


def test_a_host_whose_stand_in_is_away_is_left_alone(upkeep: Upkeep) -> None:
    before = upkeep.version(APPS[0])
    for host in APPS:
        upkeep.offer(host, "upkeep-demo 4 security 0 0")
    upkeep.on(APPS[1], "systemctl stop hardened-listener")
    started = time.time()
    output = words(refused(upkeep.patch()))
    assert f"{APPS[1]}: not well, so no host was touched" in output
    output = words(refused(upkeep.patch("--limit", APPS[0])))
    assert (
        "hardened-listener.service is inactive" in output and f"{APPS[0]} is as it was, and serves" in output
    )
    assert "host_drained" not in upkeep.events(APPS[0], started)
    assert upkeep.version(APPS[0]) == before
    upkeep.on(APPS[1], "systemctl start hardened-listener")


def test_nobody_updates_while_somebody_releases(upkeep: Upkeep) -> None:
    before = [upkeep.version(host) for host in APPS]
    succeeded(upkeep.client.playbook("lock.yml", "-e", "state=on", "-e", "reason=test"))
    output = words(refused(upkeep.patch()))
    assert "holds the lock of the fleet's releases" in output
    assert [upkeep.version(host) for host in APPS] == before
    succeeded(upkeep.client.playbook("lock.yml", "-e", "state=off"))


def test_a_run_that_is_killed_while_it_installs_is_finished_by_the_next(upkeep: Upkeep) -> None:
    for host in APPS:
        upkeep.offer(host, "upkeep-demo 5 security 8 0")
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-i",
        str(upkeep.client.inventory),
        "playbooks/patch.yml",
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg")}
    with subprocess.Popen(
        command, cwd=paths.CHECKOUT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as run:
        eventually(lambda: upkeep.record(APPS[0]).get("phase") == "applying", 120)
        upkeep.on(APPS[0], "for n in $(seq 50); do pgrep -f upkeep-demo.postinst && break; sleep 0.2; done")
        os.killpg(run.pid, signal.SIGKILL)
    # On the host too, dpkg in the middle of it: a power cut.
    upkeep.client.fleet.reboot(APPS[0])
    assert "half-configured" in upkeep.version(APPS[0])
    assert upkeep.record(APPS[0], "drain")["complete"]
    with Load(upkeep.client, connections=10, pause=0.1, failover=True) as load:
        output = succeeded(upkeep.patch())
    print(f"after a run that was killed: {load.words}")
    assert load.lost == []
    assert "an earlier installation was interrupted; it is finished first" in words(output)
    assert [upkeep.version(host) for host in APPS] == ["5 installed"] * 2
    assert [upkeep.record(host, "drain") for host in APPS] == [{}, {}]
    assert changes(upkeep.patch()) == {0}


def test_a_host_that_wants_to_be_restarted_is(upkeep: Upkeep) -> None:
    upkeep.on(APPS[1], "touch /run/reboot-required; echo linux-image-amd64 > /run/reboot-required.pkgs")
    output = words(succeeded(upkeep.patch("-e", "reboot=never")))
    assert "which -e reboot=never keeps it from: Debian asks for it for linux-image-amd64" in output
    output = words(succeeded(upkeep.patch("--check")))
    assert "restart of the host: Debian asks for it for linux-image-amd64" in output
    with (
        Power(upkeep.client.fleet, [APPS[1]]) as power,
        Load(upkeep.client, connections=6, pause=0.3, failover=True) as load,
    ):
        output = words(succeeded(upkeep.patch()))
    print(f"a restart of {APPS[1]}: {load.words}")
    assert power.restarted == [APPS[1]]
    assert "the host was restarted" in output
    assert load.lost == []
    assert set(load.since(0)) == {200}
    assert changes(upkeep.patch()) == {0}

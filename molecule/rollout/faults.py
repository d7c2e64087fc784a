# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers and hosts that die in the middle of a release, and two releases at once: service goes on, and a rerun completes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from labkit import paths, registry
from labkit.load import Load
from labkit.plays import eventually
from labkit.podman import podman

from molecule.rollout.conftest import APPS, EDGES, Rollouts

# A line of the run's output, and with it a stage that has just begun.
STAGES = {
    "plan": "TASK [Read what each host holds]",
    "pull": "Fetch the image]",
    "fill": "Configure and run slot",
    "canary": "Give it this share, in percent, and look: 10]",
    "second step": "Give it this share, in percent, and look: 50]",
    "promotion": "Give it all requests]",
    "record": "Record what serves]",
}


class Started:
    """A release in a process of its own, which can be killed."""

    def __init__(self, rollouts: Rollouts, name: str, *arguments: str, **faults: float) -> None:
        environment = {f"FAULT_{fault.upper()}": str(value) for fault, value in faults.items()}
        wanted = {
            "image": rollouts.image,
            "release": name,
            "app_environment": {**environment, "RELEASE": name},
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(rollouts.client.inventory)]
        self.process = subprocess.Popen(
            [*command, "playbooks/release.yml", "-e", json.dumps(wanted), *arguments],
            cwd=paths.CHECKOUT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_FORCE_COLOR": "false",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""

    def until(self, words: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if words in line:
                return
        raise AssertionError(f"the run ended without {words!r}:\n{self.output[-3000:]}")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self) -> int:
        assert self.process.stdout
        self.output += self.process.stdout.read()
        return self.process.wait()


@contextmanager
def away(rollouts: Rollouts, host: str) -> Iterator[None]:
    """A host that answers nothing, without closing anything, as behind a cable that was pulled."""
    container = rollouts.client.fleet.container(host)
    podman("pause", container)
    try:
        yield
    finally:
        podman("unpause", container)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_controller_leaves_nothing_to_clear_up(rollouts: Rollouts, stage: str) -> None:
    before = rollouts.serving
    name = rollouts.next_name()
    with Load(rollouts.client, connections=20) as load:
        run = Started(rollouts, name)
        run.until(STAGES[stage])
        time.sleep(0.3)
        run.kill()
        time.sleep(1)
        again = rollouts.release(name=name)
        assert again.returncode == 0, again.stdout[-3000:]
    print(f"controller killed at {stage}: {load.words}")
    assert load.lost == []
    assert set(load.since(0)) == {200}
    now = rollouts.serving
    assert now["release"] == name
    assert now["previous"]["release"] == before["release"]
    assert rollouts.weights() == [{now["slot"]: 100}] * 2


def test_a_canary_that_nobody_steers_ends_by_itself(rollouts: Rollouts) -> None:
    before, weights = rollouts.serving, rollouts.weights()
    run = Started(rollouts, rollouts.next_name(), "-e", "rollout_grace=10")
    run.until(STAGES["canary"])
    eventually(lambda: rollouts.phases() == ["canary"] * 2, 10)
    run.kill()
    eventually(lambda: rollouts.phases() == ["aborted"] * 2, 30)
    assert (rollouts.serving, rollouts.weights()) == (before, weights)
    assert "nobody has gone on with it" in rollouts.record(EDGES[0])["reason"]


def test_the_second_of_two_releases_is_refused(rollouts: Rollouts) -> None:
    run = Started(rollouts, rollouts.next_name())
    run.until(STAGES["canary"])
    second = rollouts.release()
    assert second.returncode != 0
    assert "holds the lock of the fleet's releases until" in second.stdout
    assert run.wait() == 0, run.output[-3000:]
    third = rollouts.release()
    assert third.returncode == 0, third.stdout[-3000:]


def test_a_lock_by_hand(rollouts: Rollouts) -> None:
    before = rollouts.serving
    put_on = rollouts.client.playbook("lock.yml", "-e", "state=on", "-e", 'reason="the database moves"')
    assert put_on.returncode == 0, put_on.stdout[-3000:]
    refused = rollouts.release()
    assert refused.returncode != 0
    assert "the database moves" in refused.stdout
    assert rollouts.serving == before
    assert rollouts.client.playbook("lock.yml", "-e", "state=off").returncode == 0
    assert "Nobody holds the lock" in rollouts.client.playbook("lock.yml").stdout


@pytest.mark.parametrize("host", [EDGES[1], APPS[1]])
def test_a_host_that_goes_away_during_the_canary_ends_it_everywhere(rollouts: Rollouts, host: str) -> None:
    before = rollouts.serving
    run = Started(rollouts, rollouts.next_name(), "-e", "ansible_timeout=5", "-e", "rollout_grace=10")
    run.until(STAGES["canary"])
    time.sleep(1)
    with away(rollouts, host):
        assert run.wait() != 0, run.output[-3000:]
    eventually(lambda: rollouts.phases() == ["aborted"] * 2, 40)
    assert rollouts.weights() == [{before["slot"]: 100}] * 2
    assert rollouts.serving["release"] == before["release"]
    again = rollouts.release()
    assert again.returncode == 0, again.stdout[-3000:]


@contextmanager
def without_registry(rollouts: Rollouts) -> Iterator[None]:
    container = rollouts.client.fleet.container(registry.HOST)
    podman("exec", container, "systemctl", "stop", "docker-registry")
    try:
        yield
    finally:
        podman("exec", container, "systemctl", "start", "docker-registry")


NOT_THERE = f"{registry.HOST}:{registry.PORT}/httpbin@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        pytest.param(
            {"app_ready_path": "/status/503", "app_ready_deadline": 5}, "/status/503", id="never ready"
        ),
        pytest.param({"app_migrate_command": ["--no-such-option"]}, "no-such-option", id="failing migration"),
        pytest.param({"image": NOT_THERE}, "0" * 64, id="no such image"),
        pytest.param({}, registry.HOST, id="registry away"),
    ],
)
def test_a_release_that_cannot_be_made_changes_nothing(
    rollouts: Rollouts, wanted: dict[str, Any], words: str, request: pytest.FixtureRequest
) -> None:
    before, weights = rollouts.serving, rollouts.weights()
    gone = without_registry(rollouts) if request.node.callspec.id == "registry away" else nullcontext()
    with gone, Load(rollouts.client, connections=20) as load:
        done = rollouts.release("-e", json.dumps(wanted))
    assert done.returncode != 0
    assert words in done.stdout, done.stdout[-3000:]
    assert load.lost == []
    assert (rollouts.serving, rollouts.weights()) == (before, weights)

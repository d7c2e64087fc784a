# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations that end in the middle: what served serves on, no value is lost, and the next run completes it with the same one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from labkit import paths
from labkit.load import Load
from labkit.podman import podman

from molecule.rotation.conftest import Rotations

# A line of the run's output, and with it a step that has just begun.
STAGES = {
    "make": "TASK [Make the new values]",
    "login": "TASK [Prepare the other login]",
    "switching": "TASK [Say that they are about to be used]",
    "fill": "Configure and run slot",
    "promotion": "Give it all requests]",
    "current": "TASK [Make them the current ones]",
    "finish": "TASK [Finish what all consumers know]",
}


def killed_at(rotations: Rotations, words: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(rotations.client.inventory)]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "false",
    }
    with subprocess.Popen(
        [*command, "playbooks/rotate.yml", *arguments],
        cwd=paths.CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        seen = ""
        for line in process.stdout:
            seen += line
            if words in line:
                os.killpg(process.pid, signal.SIGKILL)
                return
    raise AssertionError(f"the run ended without {words!r}:\n{seen[-3000:]}")


def ended(rotations: Rotations, name: str) -> None:
    done = rotations.rotate("-e", f"secret={name}", "-e", "retire=true", "-e", "canary=false")
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("stage", STAGES)
def test_a_controller_that_dies(rotations: Rotations, api_key: str, stage: str) -> None:
    name = "postgres_app_password"
    ended(rotations, name)
    before = rotations.secrets[name]
    with Load(
        rotations.client, 20, path="/v1/items", pause=1, headers={"X-API-Key": api_key}, body={"name": stage}
    ) as load:
        killed_at(rotations, STAGES[stage], "-e", f"secret={name}", "-e", "canary=false")
        progress = rotations.progress(name)
        valid = {rotations.secrets[name], progress["pending"], progress["previous"]} - {""}
        assert len(valid) <= 2 and before in valid
        done = rotations.rotate("-e", f"secret={name}", "-e", "canary=false")
        # Killed after the last step that counts, there is nothing to finish, and a third value is refused.
        assert done.returncode == 0 or "a third one would be valid" in " ".join(done.stdout.split()), (
            done.stdout[-4000:]
        )
    print(f"{stage}: {load.words}")
    assert load.lost == []
    assert set(load.since(0)) == {201}
    after = rotations.progress(name)
    assert (after["state"], after["previous"]) == ("overlap", before)
    assert not progress["pending"] or rotations.secrets[name] == progress["pending"]


def test_a_host_that_is_away_is_noticed_before_anything_is_made(rotations: Rotations) -> None:
    before = rotations.files()
    podman("pause", rotations.client.fleet.container("app-1"))
    try:
        refused = rotations.rotate("-e", "secret=app_admin_api_key", "-e", "ansible_ssh_timeout=5")
    finally:
        podman("unpause", rotations.client.fleet.container("app-1"))
    assert refused.returncode != 0
    assert rotations.files() == before


def test_a_release_that_never_gets_ready_leaves_the_old_value_in_use(rotations: Rotations) -> None:
    name = "app_admin_api_key"
    before = rotations.secrets[name]
    wrong = ("-e", "app_ready_path=/nowhere", "-e", "app_ready_deadline=5")
    refused = rotations.rotate("-e", f"secret={name}", *wrong)
    assert refused.returncode != 0
    assert rotations.secrets[name] == before and rotations.admin(before) == 200
    progress = rotations.progress(name)
    assert progress["state"] == "switching"
    dropped = rotations.rotate("-e", f"secret={name}", "-e", "abandon=true", "-e", "canary=false")
    assert dropped.returncode == 0, dropped.stdout[-4000:]
    assert rotations.progress(name)["state"] == "idle"
    assert rotations.admin(before) == 200 and rotations.admin(progress["pending"]) == 401

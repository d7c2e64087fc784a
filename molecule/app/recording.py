# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects, last: the application's own system calls are recorded, and from then on it is allowed no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit.client import Client
from labkit.plays import changes, converge, play
from labkit.podman import LabError

ROLLBACK = "../molecule/app/rollback.yml"
PREPARE = "../molecule/app/prepare.yml"
COLLECT = "../molecule/app/syscalls.yml"
RECORDER = ("-e", "container_runtime_recorder=true")
# Allowed by the profile, and nothing that the example does.
FIFO = "import os; os.mkfifo('/tmp/pipe'); os.unlink('/tmp/pipe'); print('made')"


def test_what_is_recorded_is_enough_and_the_rest_is_refused(
    client: Client, hosts: list[Any], tmp_path: Path
) -> None:
    output = tmp_path / "syscalls.yml"
    nothing = play(client, COLLECT, "-e", f"output={output}")
    assert nothing.returncode != 0
    assert "Nothing is recorded" in nothing.stdout

    assert play(client, PREPARE, *RECORDER).returncode == 0
    converge(client, *RECORDER, "-e", "release=recorded")
    for host in hosts:
        assert host.get(host.slot).startswith("200 ")
        assert host.inside(FIFO).strip() == "made"
        # The probe itself must not be in the recording of the application.
        host.run("sh", "-c", "grep -l mknod /var/lib/hardened/syscalls/*.json | xargs rm")
    assert play(client, COLLECT, "-e", f"output={output}").returncode == 0
    recorded = yaml.safe_load(output.read_text(encoding="utf-8"))["app_syscalls"]
    assert {"accept4", "clone", "connect", "execve", "sendto"} <= set(recorded)
    assert not {"mount", "pivot_root", "mknod", "mknodat", "ptrace"} & set(recorded)

    assert play(client, PREPARE).returncode == 0
    converge(client, "-e", f"@{output}", "-e", "release=narrow")
    for host in hosts:
        assert host.get(host.slot).startswith("200 ")
        assert host.get(host.slot, "/version").startswith("200 ")
        with pytest.raises(LabError, match="Operation not permitted"):
            host.inside(FIFO)
        host.run("rm", "-r", "/var/lib/hardened/syscalls")
    assert changes(converge(client, "-e", f"@{output}")) == {0}
    assert play(client, ROLLBACK).returncode == 0


def test_what_it_leaves_is_what_the_inventory_says(client: Client, hosts: list[Any]) -> None:
    converge(client)
    assert changes(converge(client)) == {0}
    for host in hosts:
        assert host.get(host.slot).startswith("200 ")
        assert host.inside(FIFO).strip() == "made"

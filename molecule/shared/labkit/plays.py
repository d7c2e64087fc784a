# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of a scenario, run on its fleet to see what comes of them."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from .client import Client


def play(client: Client, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One run, with all the words that Ansible can make, none of which may be a secret."""
    done = client.playbook(playbook, "--diff", "-vv", *arguments)
    words = done.stdout + done.stderr
    assert [name for name, value in client.secrets.items() if value in words] == []
    return done


def converge(client: Client, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = play(client, f"../molecule/{client.fleet.name}/converge.yml", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    return done


def refused(client: Client, playbook: str, *arguments: str) -> str:
    done = play(client, playbook, *arguments)
    assert done.returncode != 0, done.stdout[-3000:]
    return done.stdout


def changes(done: subprocess.CompletedProcess[str]) -> set[int]:
    return {int(number) for number in re.findall(r"changed=(\d+)", done.stdout)}


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)

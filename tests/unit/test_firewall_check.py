# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules shut out the run that brings them, by the SSH connection that an ancestor of the check has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from house import ROOT

CHECK = str(ROOT / "roles/firewall/files/firewall-check")


def judge(connection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As below sudo, which takes the variable away: only the parent has it."""
    below = [sys.executable, "-c", "import os, subprocess, sys; os.environ.pop('SSH_CONNECTION', 0); "]
    below[-1] += "sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)"
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    if connection:
        environment["SSH_CONNECTION"] = connection
    return subprocess.run(
        [*below, CHECK, *arguments], env=environment, capture_output=True, text=True, check=False
    )


HERE = "192.0.2.7 50000 198.51.100.1 22"


@pytest.mark.parametrize(
    ("connection", "arguments"),
    [
        (HERE, ["--ports", "22", "--from"]),
        (HERE, ["--ports", "2222", "22", "--from", "192.0.2.0/24"]),
        ("::ffff:192.0.2.7 50000 ::1 22", ["--ports", "22", "--from", "203.0.113.1", "192.0.2.7"]),
        ("2001:db8::7 50000 2001:db8::1 22", ["--ports", "22", "--from", "2001:db8::/64"]),
        ("fe80::7%eth0 50000 fe80::1%eth0 22", ["--ports", "22", "--from", "fe80::/10"]),
    ],
)
def test_rules_that_let_it_in_pass(connection: str, arguments: list[str]) -> None:
    done = judge(connection, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ports", "22", "--from", "203.0.113.0/24"], "192.0.2.7, which these rules would shut out"),
        (["--ports", "22", "--from", "2001:db8::/64"], "add it to firewall_ssh_from"),
        (["--ports", "2222", "--from"], "add it to firewall_ssh_ports"),
    ],
)
def test_rules_that_would_not_are_refused(arguments: list[str], words: str) -> None:
    done = judge(HERE, *arguments)
    assert done.returncode == 1
    assert words in done.stderr

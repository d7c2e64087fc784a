# SPDX-License-Identifier: GPL-3.0-or-later
"""config_set on real hosts: what serves after every refusal, and after a SIGKILL at every step."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from labkit import paths
from labkit.fleet import Fleet

FLEET = Fleet.load("config_set")
HOSTS = [host.name for host in FLEET.hosts]
LIBRARY = "plugins/module_utils/config_set"
FEWEST_STEPS = 20


def on(host: str, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["podman", "exec", "--interactive", FLEET.container(host), *command],
        input=stdin,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("host", HOSTS)
def test_the_service_runs_with_what_was_accepted_last(host: str) -> None:
    assert on(host, "cat", "/run/echo-test/loaded").stdout == b"first\npart of the first\n"
    assert on(host, "cat", "/etc/echo/main.conf").stdout == b"first\n"
    assert on(host, "systemctl", "is-active", "echo-test.service").stdout == b"active\n"


@pytest.mark.parametrize("host", HOSTS)
def test_a_run_killed_at_any_step_ends_where_an_undisturbed_one_ends(host: str) -> None:
    on(host, "sh", "-ec", "rm -rf /root/kills; mkdir /root/kills; cd /root/kills; tar x", stdin=_program())
    result = on(host, "sh", "-ec", "cd /root/kills && python3 host_kills.py")
    assert result.returncode == 0, result.stderr.decode()
    assert int(result.stdout) >= FEWEST_STEPS


def _program() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(Path(__file__).with_name("host_kills.py"), "host_kills.py")
        package = f"ansible_collections/techsaas/hardened/{LIBRARY}"
        archive.add(
            paths.CHECKOUT / LIBRARY,
            package,
            filter=lambda item: None if "__pycache__" in item.name else item,
        )
    return buffer.getvalue()

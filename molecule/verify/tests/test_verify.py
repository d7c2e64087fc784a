# SPDX-License-Identifier: GPL-3.0-or-later
"""The role as its user runs it: silent when all is right, and telling everything that is not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from labkit import inventory

SCENARIO = Path(__file__).parents[1]
# Each fault, and the check that has to tell it.
FAULTS = {
    "attack": "attack",
    "header": "header Strict-Transport-Security",
    "header_on_errors": "header X-Frame-Options",
    "http2": "http2",
    "log": "log_line",
    "old_tls": "tls_1.1",
    "open": "protected GET /v1/items",
    "rate_limit": "rate_limit",
    "ready": "ready",
    "redirect": "redirect",
    "unknown_name": "unknown_name",
    "version": "server_version",
}


def verify(*faults: str) -> tuple[int, str, set[str]]:
    """Exit code, output, and the names of the checks that failed."""
    command = [
        "ansible-playbook",
        "--inventory",
        str(inventory.directory("verify")),
        str(SCENARIO / "faults.yml"),
    ]
    command += ["--extra-vars", f"faults={','.join(faults)}"]
    # Molecule forces colours on, which are in the way of reading.
    plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=plain)
    failed = re.findall(r"^ +(\S.*?) +VERIFY +all-1", done.stdout, re.MULTILINE)
    return done.returncode, done.stdout + done.stderr, set(failed)


@pytest.fixture(scope="module", autouse=True)
def repaired() -> Iterator[None]:
    yield
    verify()


def test_all_is_right() -> None:
    code, output, failed = verify()
    assert failed == set(), output
    assert code == 0, output
    assert re.search(r"Verified: (\d+) of \1 checks passed on all-1", output), output
    assert "from all-1 in stream app after" in output


def test_all_faults_are_told_at_once() -> None:
    code, output, failed = verify(*FAULTS)
    assert failed == set(FAULTS.values()), output
    assert code != 0


@pytest.mark.parametrize("fault", ["old_tls", "log"])
def test_a_fault_alone_is_all_that_is_told(fault: str) -> None:
    code, output, failed = verify(fault)
    assert failed == {FAULTS[fault]}, output
    assert code != 0


def test_what_cannot_be_followed() -> None:
    code, output, failed = verify("request_id")
    assert failed == {"request_id"}, output
    assert code != 0
    assert "no edge told the id of a request" in output

# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a host out: who is connected, how long is waited, and rules that nft takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import drain

HEAD = "  sl  local_address rem_address   st\n"
# 192.0.2.7:8441 from 192.0.2.9, from itself by the loopback interface, one that is being closed, and another port.
TCP = HEAD + (
    "   0: 070200C0:20F9 090200C0:C350 01 0\n"
    "   1: 0100007F:20F9 0100007F:C351 01 0\n"
    "   2: 070200C0:20F9 090200C0:C352 06 0\n"
    "   3: 070200C0:0016 090200C0:C353 01 0\n"
)


def test_only_open_connections_from_outside_count(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TCP)
    assert drain.connections({8441, 8442}, tmp_path) == 1
    assert drain.connections({8442}, tmp_path) == 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.notices: list[float] = []

    def wait(self, gone_after: float, patience: float) -> tuple[int, float]:
        return drain.wait_until_gone(
            lambda: 3 if self.now < gone_after else 0,
            lambda: self.notices.append(self.now),
            patience,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_it_is_waited_until_nobody_is_connected_and_told_again_and_again() -> None:
    clock = Clock()
    left, seconds = clock.wait(gone_after=25, patience=40)
    assert left == 0 and seconds == pytest.approx(25, abs=0.2)
    assert [round(at) for at in clock.notices] == [0, 10, 20]


def test_patience_ends() -> None:
    assert Clock().wait(gone_after=1000, patience=5)[0] == 3


def test_the_rules_are_rules() -> None:
    if not shutil.which("nft"):
        pytest.skip("nft is not installed")
    done = subprocess.run(
        ["unshare", "--net", "nft", "--check", "--file", "-"],
        input=drain.ruleset([8442, 8441]),
        text=True,
        capture_output=True,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip("needs root")
    assert done.returncode == 0, done.stderr

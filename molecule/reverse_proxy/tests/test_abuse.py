# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean ill, and what others notice of it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Edge

ATTACKER = Path(__file__).with_name("attacker.py").read_text(encoding="utf-8")
# For an edge, the host whose address is limited as any client's is.
FROM = {"edge-12": "app-13", "edge-13": "app-12"}
SECONDS = 12


@dataclass
class Good:
    """A client that writes now and then."""

    statuses: list[int] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)

    def p99(self) -> str:
        return f"{sorted(self.durations)[len(self.durations) * 99 // 100] * 1000:.1f} ms"

    def write(self, edge: Edge, seconds: float) -> None:
        client = edge.client()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            client.request("POST", "/write", b"{}", {"Content-Type": "application/json"})
            response = client.getresponse()
            response.read()
            self.statuses.append(response.status)
            self.durations.append(time.monotonic() - began)
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("kind", "cut_off"),
    [
        ("slow headers", True),
        # As long as something comes; an address has only so many connections.
        ("slow bodies", False),
        ("unread answers", False),
        ("resets", True),
        # Until the keep-alive timeout.
        ("endless headers", False),
        ("pings", True),
        ("settings", True),
    ],
)
def test_others_are_served(edge: Edge, kind: str, cut_off: bool) -> None:
    workers = edge.lab.run(edge.name, "pgrep", "-u", "www-data", "nginx")
    quiet, under = Good(), Good()
    quiet.write(edge, 2)
    container = edge.lab.fleet.container(FROM[edge.name])
    arguments = [kind, edge.address, edge.lab.domain, str(SECONDS)]
    attack = subprocess.Popen(
        ["podman", "exec", "--interactive", container, "python3", "-", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert attack.stdin
    attack.stdin.write(ATTACKER)
    attack.stdin.close()
    under.write(edge, SECONDS)
    assert attack.stdout
    did = json.loads(attack.stdout.read())
    assert attack.wait(60) == 0
    print(f"{edge.name}: {kind}: {did}, p99 of a good client {quiet.p99()} before, {under.p99()} meanwhile")
    assert did["made"] > 10
    assert did["ended"] > 0 or not cut_off
    assert set(quiet.statuses + under.statuses) == {201}
    assert edge.lab.run(edge.name, "pgrep", "-u", "www-data", "nginx") == workers

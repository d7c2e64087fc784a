# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: what must not end a block, and what must not keep one from being made."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from labkit import plays
from labkit.podman import podman

EDGES = ("edge-12", "edge-13")
per_edge = pytest.mark.parametrize("edge", EDGES)
PEER = "198.51.100.7"


def back(stranger: Any, edge: str) -> None:
    """Wait for an edge that starts, whose place in the network has another hardware address now."""
    stranger.client.on("client-13", "ip", "neighbour", "flush", "dev", "eth0")
    plays.eventually(lambda: stranger.asks(edge, "198.51.100.8") == "open")


@per_edge
def test_a_restart_keeps_the_time_that_is_left(stranger: Any, edge: str) -> None:
    client = stranger.client
    stranger.verb(edge, "add", PEER, "--ttl", "60s", "--reason", "over a restart")
    stranger.verb(edge, "add", "2001:db8:9::7", "--ttl", "1h", "--reason", "over a restart")
    client.fleet.reboot(edge)
    back(stranger, edge)
    assert stranger.asks(edge, PEER) == "ConnectionRefusedError"
    # The network learns the other family's place a little later.
    plays.eventually(lambda: stranger.asks(edge, "2001:db8:9::8") == "open")
    assert stranger.asks(edge, "2001:db8:9::7") == "ConnectionRefusedError"
    plays.eventually(lambda: stranger.asks(edge, PEER) == "open", seconds=60)


@per_edge
def test_what_clears_all_rules_brings_the_blocks_back(stranger: Any, edge: str) -> None:
    stranger.verb(edge, "add", PEER, "--reason", "over a clearing")
    stranger.client.on(edge, "systemctl", "restart", "nftables.service")
    assert stranger.asks(edge, PEER) == "ConnectionRefusedError"


@per_edge
def test_rules_that_somebody_flushed_come_with_the_next_block(stranger: Any, edge: str) -> None:
    stranger.verb(edge, "add", PEER, "--reason", "flushed")
    stranger.client.on(edge, "nft", "flush", "ruleset")
    assert stranger.asks(edge, PEER) == "open"
    stranger.verb(edge, "add", "198.51.100.8", "--reason", "the next")
    assert stranger.asks(edge, PEER) == "ConnectionRefusedError"


def test_an_edge_that_is_away_does_not_keep_the_others_open(stranger: Any) -> None:
    client = stranger.client
    podman("kill", "--signal", "KILL", client.fleet.container("edge-12"))
    try:
        done = client.playbook("block.yml", "-e", f"address={PEER}", "-e", "reason=attack")
    finally:
        podman("start", client.fleet.container("edge-12"))
        back(stranger, "edge-12")
    assert done.returncode != 0 and "This edge could not be reached" in " ".join(done.stdout.split())
    assert stranger.asks("edge-13", PEER) == "ConnectionRefusedError"
    assert stranger.asks("edge-12", PEER) == "open"
    again = client.playbook("block.yml", "-e", f"address={PEER}", "-e", "reason=attack")
    assert again.returncode == 0, again.stdout[-2000:]
    assert stranger.asks("edge-12", PEER) == "ConnectionRefusedError"


@per_edge
def test_a_damaged_record_changes_nothing_and_is_named(stranger: Any, edge: str) -> None:
    record = "/var/lib/hardened/blocklist.json"
    stranger.verb(edge, "add", PEER, "--reason", "before the damage")
    kept = stranger.client.on(edge, "cat", record)
    try:
        stranger.client.on(edge, "sh", "-c", f"echo nonsense > {record}")
        assert "is damaged" in stranger.refused(edge, "add", "198.51.100.8", "--reason", "after it")
        assert stranger.asks(edge, PEER) == "ConnectionRefusedError"
    finally:
        stranger.client.on(edge, "sh", "-c", f"echo {shlex.quote(kept)} > {record}")


def test_many_blocks_are_no_burden(stranger: Any) -> None:
    """Two thousand at once, within a network that is blocked as well: one more still takes under two seconds."""
    fill = (
        "import json, time; now = int(time.time()); path = '/var/lib/hardened/blocklist.json'; "
        "json.dump({'blocks': [{'address': f'203.0.{n // 250}.{n % 250 + 1}', 'reason': 'many', 'by': 'x', 'since': now,"
        " 'until': now + 3600 + n} for n in range(2000)]}, open(path, 'w'))"
    )
    client = stranger.client
    client.on("edge-13", "python3", "-c", fill)
    took = client.on(
        "edge-13",
        "sh",
        "-c",
        "start=$(date +%s%N); hardened-blocklist add 203.0.0.0/16 --ttl 60 --reason wide >/dev/null;"
        f" hardened-blocklist add {PEER} --reason one >/dev/null; echo $((($(date +%s%N) - start) / 1000000))",
    )
    try:
        assert stranger.asks("edge-13", PEER) == "ConnectionRefusedError"
        assert int(took) < 4000
    finally:
        client.on("edge-13", "sh", "-c", "rm /var/lib/hardened/blocklist.json; hardened-blocklist load")

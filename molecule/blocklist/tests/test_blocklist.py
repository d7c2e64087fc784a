# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is refused, when, and for how long, seen from a client that the inventory does not know."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from labkit import plays
from labkit.client import Client

EDGES = ("edge-12", "edge-13")
per_edge = pytest.mark.parametrize("edge", EDGES)
PAIRS = [("198.51.100.7", "198.51.100.8"), ("2001:db8:9::7", "2001:db8:9::8")]


@per_edge
@pytest.mark.parametrize(("blocked", "other"), PAIRS)
def test_a_block_is_for_one_address_and_ends_by_itself(
    stranger: Any, edge: str, blocked: str, other: str
) -> None:
    assert stranger.asks(edge, blocked) == "open"
    stranger.verb(edge, "add", blocked, "--ttl", "4s", "--reason", "a test")
    assert stranger.asks(edge, blocked) == "ConnectionRefusedError"
    assert stranger.asks(edge, other) == "open"
    plays.eventually(lambda: stranger.asks(edge, blocked) == "open", seconds=6)


@per_edge
@pytest.mark.parametrize("network", ["198.51.100.0/29", "2001:db8:9::/125"])
def test_a_network_is_blocked_whole_and_no_further(stranger: Any, edge: str, network: str) -> None:
    inside, outside = PAIRS[":" in network]
    stranger.verb(edge, "add", network, "--reason", "a test")
    assert stranger.asks(edge, inside) == "ConnectionRefusedError"
    assert stranger.asks(edge, outside) == "open"
    stranger.verb(edge, "remove", network)
    assert stranger.asks(edge, inside) == "open"


@per_edge
@pytest.mark.parametrize("source", [pair[0] for pair in PAIRS])
def test_an_open_connection_is_cut_at_once(stranger: Any, edge: str, source: str) -> None:
    told: list[Any] = []
    asking = threading.Thread(target=lambda: told.extend(stranger.keeps_asking(edge, source, 20)))
    asking.start()
    time.sleep(2)
    stranger.verb(edge, "add", source, "--reason", "a test")
    blocked_at = time.time()
    asking.join()
    answers, broken_at, how = told
    assert answers > 10 and how == "ConnectionResetError"
    assert broken_at - blocked_at < 1


@per_edge
def test_overlapping_blocks_each_last_as_long_as_they_should(stranger: Any, edge: str) -> None:
    stranger.verb(edge, "add", "198.51.100.0/28", "--ttl", "4s", "--reason", "wide")
    stranger.verb(edge, "add", "198.51.100.7", "--ttl", "60s", "--reason", "longer")
    assert stranger.asks(edge, "198.51.100.8") == "ConnectionRefusedError"
    plays.eventually(lambda: stranger.asks(edge, "198.51.100.8") == "open", seconds=6)
    assert stranger.asks(edge, "198.51.100.7") == "ConnectionRefusedError"


@per_edge
def test_what_is_allowed_is_never_refused(stranger: Any, edge: str) -> None:
    """By the kernel too: whatever gets into the set, these packets do not come that far."""
    address = stranger.client.addresses["client-13"]
    assert "is the host client-13" in stranger.refused(edge, "add", address, "--reason", "a test")
    stranger.client.on(
        edge,
        "nft",
        "add",
        "element",
        "inet",
        "hardened_blocklist",
        "blocked4",
        f"{{ {address} timeout 20s }}",
    )
    assert stranger.client.reach("client-13", edge, 8080) == "reached"


@per_edge
def test_what_passes_through_the_host_is_refused_too(stranger: Any, edge: str) -> None:
    """As to a port that an engine publishes for a container."""
    inside = (
        "ip netns add inside && ip link add outer type veth peer name inner netns inside && "
        "ip address add 203.0.113.1/24 dev outer && ip link set outer up && "
        "ip -n inside address add 203.0.113.2/24 dev inner && ip -n inside link set inner up && "
        "ip -n inside route add default via 203.0.113.1 && sysctl -qw net.ipv4.ip_forward=1 && "
        "systemd-run -q --unit=inside ip netns exec inside python3 -m http.server 8080 && sleep 1"
    )
    connect = "import socket; socket.create_connection(('203.0.113.2', 8080), 3, ('{}', 0)); print('reached')"

    def reach(source: str) -> bool:
        script = f'python3 -c "{connect.format(source)}" 2>/dev/null || echo refused'
        return bool(stranger.client.on("client-13", "sh", "-c", script).strip() == "reached")

    try:
        stranger.client.on(edge, "sh", "-ec", inside)
        stranger.route(edge, "203.0.113.0/24")
        assert reach("198.51.100.7")
        stranger.verb(edge, "add", "198.51.100.7", "--reason", "a test")
        assert not reach("198.51.100.7")
        assert reach("198.51.100.8")
    finally:
        stranger.client.on("client-13", "sh", "-c", "ip route del 203.0.113.0/24 || true")
        stranger.client.on(
            edge, "sh", "-c", "systemctl stop inside; ip netns del inside; sysctl -qw net.ipv4.ip_forward=0"
        )


def block(client: Client, *arguments: str) -> Any:
    return client.playbook("block.yml", *arguments)


def test_the_verb_blocks_on_every_edge_and_lets_in_again(stranger: Any) -> None:
    client = stranger.client
    wanted = ("-e", "address=198.51.100.7", "-e", "ttl=5m", "-e", json.dumps({"reason": "guesses keys"}))
    planned = block(client, *wanted, "--check", "--diff")
    assert planned.returncode == 0 and "guesses keys" in planned.stdout
    assert [stranger.asks(edge, "198.51.100.7") for edge in EDGES] == ["open", "open"]
    done = block(client, *wanted)
    assert done.returncode == 0 and plays.changes(done) == {1}, done.stdout[-2000:]
    assert [stranger.asks(edge, "198.51.100.7") for edge in EDGES] == ["ConnectionRefusedError"] * 2
    assert plays.changes(block(client, *wanted)) == {0}
    assert "guesses keys" in block(client, "-e", "state=list").stdout
    done = block(client, "-e", "address=198.51.100.7", "-e", "state=absent")
    assert done.returncode == 0, done.stdout[-2000:]
    assert [stranger.asks(edge, "198.51.100.7") for edge in EDGES] == ["open", "open"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say -e address=ADDRESS"),
        (("address=198.51.100.7", "state=maybe"), "Say -e address=ADDRESS"),
        (("address=0.0.0.0/0", "reason=attack"), "is wider than /16"),
        (("address=198.51.100.7", "reason=attack", "ttl=0"), "ttl: must be at least one second"),
        (("address=198.51.100.7",), "reason: is missing"),
        (("address=localhost", "reason=attack"), "must be an address"),
    ],
)
def test_the_verb_refuses_what_would_hurt(stranger: Any, arguments: tuple[str, ...], words: str) -> None:
    done = block(stranger.client, *(part for argument in arguments for part in ("-e", argument)))
    assert done.returncode != 0 and words in " ".join(done.stdout.split()), done.stdout[-2000:]
    assert [stranger.client.on(edge, "hardened-blocklist", "list") for edge in EDGES] == ["", ""]


def test_the_verb_does_not_shut_out_who_runs_it(stranger: Any) -> None:
    gateway = stranger.client.on("edge-13", "sh", "-c", "ip route show default | cut -d' ' -f3").strip()
    done = block(stranger.client, "-e", f"address={gateway}", "-e", "reason=attack")
    assert done.returncode != 0 and "is where this command comes from" in " ".join(done.stdout.split())


@per_edge
def test_each_change_is_on_the_audit_trail(stranger: Any, edge: str) -> None:
    stranger.verb(edge, "add", "198.51.100.9", "--reason", "a test of the trail", "--by", "ada")
    stranger.verb(edge, "remove", "198.51.100.9")
    trail = stranger.client.on(edge, "journalctl", "-o", "cat", "-n", "50", "SYSLOG_FACILITY=10")
    events = [json.loads(line) for line in trail.splitlines() if line.startswith("{")]
    found = [event["event"] for event in events if event.get("reason") == "a test of the trail"]
    assert found == ["address_blocked", "address_unblocked"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Each port, tried from each side. All of them have a listener on every host (prepare.yml)."""

from __future__ import annotations

import socket

import pytest
from labkit.client import Client

HOSTS = ("both-12", "db-13", "edge-13")
# None is the machine that the fleet runs on, a stranger.
SOURCES = (*HOSTS, None)
# Host, port: who may.
OPEN: dict[tuple[str, int], set[str | None]] = {
    ("both-12", 8441): {"edge-13"},
    ("both-12", 20514): {"db-13", "edge-13"},
    ("db-13", 5432): {"both-12"},
    ("edge-13", 80): set(SOURCES),
    **{(host, 22): set(SOURCES) for host in HOSTS},
}
PORTS = (22, 80, 5432, 8441, 8443, 9100, 20514)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("target", HOSTS)
@pytest.mark.parametrize("source", SOURCES)
def test_only_who_may_gets_in(client: Client, source: str | None, target: str, port: int) -> None:
    # A host is no stranger to itself.
    allowed = source == target or source in OPEN.get((target, port), set())
    assert client.reach(source, target, port) == ("reached" if allowed else "TimeoutError")


@pytest.mark.parametrize("target", HOSTS)
def test_a_host_answers_to_ping(client: Client, target: str) -> None:
    sent = client.on("edge-13", "sh", "-c", f"ping -c 1 -W 2 {client.addresses[target]} >/dev/null; echo $?")
    assert sent.strip() == "0"


@pytest.mark.parametrize("target", HOSTS)
def test_connections_outward_are_answered(client: Client, target: str) -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        gateway = client.on(target, "sh", "-c", "ip route show default | cut -d' ' -f3").strip()
        assert client.reach(target, gateway, port) == "reached"


@pytest.mark.parametrize("target", HOSTS)
def test_a_host_passes_nothing_on(client: Client, target: str) -> None:
    """As what an engine publishes for containers would be: forwarded, and so past the chain for the host itself."""
    source = "db-13" if target == "edge-13" else "edge-13"
    route = f"198.51.100.0/24 via {client.addresses[target]}"
    inside = (
        "ip netns add inside && ip link add outer type veth peer name inner netns inside && "
        "ip address add 198.51.100.1/24 dev outer && ip link set outer up && "
        "ip -n inside address add 198.51.100.2/24 dev inner && ip -n inside link set inner up && "
        "ip -n inside route add default via 198.51.100.1 && sysctl -qw net.ipv4.ip_forward=1 && "
        "systemd-run -q --unit=inside ip netns exec inside python3 -m http.server 8000 && sleep 1"
    )
    try:
        client.on(target, "sh", "-ec", inside)
        client.on(source, "ip", "route", "add", *route.split())
        assert client.reach(target, "198.51.100.2", 8000) == "reached"
        assert client.reach(source, "198.51.100.2", 8000) == "TimeoutError"
        # That it is the rules that stop it, and not the lab's network.
        client.on(target, "nft", "insert", "rule", "inet", "hardened_firewall", "forward", "accept")
        assert client.reach(source, "198.51.100.2", 8000) == "reached"
    finally:
        client.on(source, "sh", "-c", f"ip route del {route} || true")
        client.on(
            target, "sh", "-c", "systemctl stop inside; ip netns del inside; sysctl -qw net.ipv4.ip_forward=0"
        )
        client.on(target, "systemctl", "reload", "hardened-firewall.service")

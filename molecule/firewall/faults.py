# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: rules that must not be, and rules that must come back."""

from __future__ import annotations

import json

import pytest
from labkit import plays
from labkit.client import Client

CONVERGE = "../molecule/firewall/converge.yml"
TABLE = ("nft", "list", "table", "inet", "hardened_firewall")


def with_variables(**variables: object) -> tuple[str, str]:
    return ("-e", json.dumps(variables))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"firewall_ssh_from": ["192.0.2.0/24"]}, "add it to firewall_ssh_from"),
        ({"firewall_ssh_ports": [2222]}, "add it to firewall_ssh_ports"),
        ({"firewall_allow": [{"port": 9100, "from": ["192.0.2.0/99"], "reason": "metrics"}]}, "192.0.2.0/99"),
    ],
)
def test_rules_that_would_shut_the_run_out_are_refused(
    client: Client, variables: dict[str, object], words: str
) -> None:
    before = client.on("db-13", *TABLE)
    assert words in plays.refused(client, CONVERGE, "--limit", "db-13", *with_variables(**variables))
    assert client.on("db-13", *TABLE) == before


def test_ssh_can_be_for_some_only(client: Client) -> None:
    here = client.on("db-13", "sh", "-c", "ip route show default | cut -d' ' -f3").strip()
    plays.converge(client, "--limit", "db-13", *with_variables(firewall_ssh_from=[here]))
    assert client.reach(None, "db-13", 22) == "reached"
    assert client.reach("edge-13", "db-13", 22) == "TimeoutError"
    plays.converge(client, "--limit", "db-13")
    assert client.reach("edge-13", "db-13", 22) == "reached"


def test_a_port_can_be_opened_for_some_and_is_shut_again(client: Client) -> None:
    allowed = {
        "port": 9100,
        "from": [client.addresses["edge-13"]],
        "reason": 'metrics "of the host" for the edge',
    }
    anybody = {"port": 9101, "reason": "somebody else's metrics"}
    plays.converge(client, "--limit", "db-13", *with_variables(firewall_allow=[allowed, anybody]))
    assert client.reach("edge-13", "db-13", 9100) == "reached"
    assert client.reach("both-12", "db-13", 9100) == "TimeoutError"
    assert client.reach(None, "db-13", 9101) == "reached"
    plays.converge(client, "--limit", "db-13")
    assert client.reach("edge-13", "db-13", 9100) == "TimeoutError"


def test_the_rules_can_be_taken_away(client: Client) -> None:
    plays.converge(client, "--limit", "db-13", *with_variables(firewall_enabled=False))
    assert client.reach(None, "db-13", 9100) == "reached"
    assert "hardened_firewall" not in client.on("db-13", "nft", "list", "tables")
    plays.converge(client, "--limit", "db-13")
    assert client.reach(None, "db-13", 9100) == "TimeoutError"


def test_what_clears_all_rules_brings_these_back(client: Client) -> None:
    client.on("both-12", "systemctl", "restart", "nftables.service")
    assert client.reach(None, "both-12", 9100) == "TimeoutError"


@pytest.mark.parametrize("host", ["both-12", "db-13"])
def test_the_rules_are_there_after_a_restart(client: Client, host: str) -> None:
    client.fleet.reboot(host)
    plays.eventually(lambda: "running" in client.on(host, "sh", "-c", "systemctl is-system-running || true"))
    assert "policy drop" in client.on(host, *TABLE)
    client.on(host, "systemctl", "is-active", "hardened-firewall.service")

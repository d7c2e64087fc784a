# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy that has nothing to do changes nothing, and asks each host once about all of its configuration."""

from __future__ import annotations

import re

from labkit.client import Client

HOSTS = ("edge-1", "app-1", "app-2", "db-1", "log-1")
SETS = ("--identifier", "ansible-techsaas.hardened.config_set", "--output", "cat")


def test_unchanged_sets_cost_no_round_trip(client: Client) -> None:
    before = {host: client.on(host, "date", "+%F %T").strip() for host in HOSTS}
    done = client.playbook("deploy.yml")
    assert done.returncode == 0 and not re.search("changed=[1-9]", done.stdout), done.stdout
    calls = {
        host: client.on(host, "journalctl", "--since", before[host], *SETS).splitlines() for host in HOSTS
    }
    # A slot holds secrets, and so do backups: their sets are always looked at. The others' were seen by the look that comes first.
    named = {host: [call for call in lines if "Invoked" in call] for host, lines in calls.items()}
    assert {host: len(lines) for host, lines in named.items()} == {
        host: int(host.startswith(("app-", "db-"))) for host in HOSTS
    }, named

# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet on one page, and what somebody has to do something about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from labkit import plays
from labkit.client import Client

RULES = "/etc/hardened/firewall.nft"


@pytest.fixture
def changed_by_hand(client: Client) -> Iterator[str]:
    client.on("db-1", "sh", "-c", f"cp -p {RULES} /root/kept; echo '# by hand' >> {RULES}")
    yield "db-1: configuration firewall is not as the last run has left it"
    client.on("db-1", "mv", "/root/kept", RULES)


def page(client: Client, *options: str) -> tuple[int, str]:
    done = plays.play(client, "status.yml", *(word for option in options for word in ("-e", option)))
    assert plays.changes(done) == {0}
    return done.returncode, " ".join(done.stdout.split())


def test_a_fleet_that_is_well_says_so(client: Client) -> None:
    _status, words = page(client)
    # How full the disk is, is the machine's business that the lab is on.
    problems = [said for said in words.split("PROBLEM ")[1:] if "file system" not in said[:40]]
    assert problems == [], words[-4000:]
    slot = client.serving("app-1").removeprefix("app-")
    for expected in (
        f"in slot {slot} on app-1, app-2",
        f"serves {slot} 100 %",
        "db-1 (database)",
        "backup of 20",
        "host.crt until",
    ):
        assert expected in words, expected


def test_what_was_changed_by_hand_is_a_problem(client: Client, changed_by_hand: str) -> None:
    status, words = page(client)
    assert status == 0 and changed_by_hand in words, words[-4000:]
    assert page(client, "strict=true")[0] != 0


def test_the_channels_are_tried(client: Client) -> None:
    """The fleet's collector has none: that all of them work, scenario detection shows."""
    assert page(client, "test_alerts=true")[0] == 0

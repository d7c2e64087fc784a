# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: what must not keep alerts from people, and rules that must not come into place."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from labkit import plays
from labkit.client import Client


def breaches(lines: Any, who: str) -> list[str]:
    return [lines.request(who, 429) for _n in range(20)]


def said(collector: Any, event: str, since: float) -> list[dict[str, Any]]:
    text = collector.sh(f"journalctl -o cat -t hardened-alerts --since @{since:.6f} || true")
    found = [json.loads(entry) for entry in text.splitlines() if entry.startswith("{")]
    return [entry for entry in found if entry["event"] == event]


def test_what_a_dead_channel_missed_comes_when_it_is_back(
    collector: Any, desk: Any, lines: Any, stranger: str
) -> None:
    started = time.time()
    collector.client.on("client-13", "systemctl", "stop", "desk.service")
    try:
        collector.receives(*breaches(lines, stranger))
        assert collector.alerted("rate_limit", stranger)
        plays.eventually(lambda: len(said(collector, "alert_channel_failed", started)) == 2, 15)
        failed = {one["channel"] for one in said(collector, "alert_channel_failed", started)}
        assert failed == {"webhook desk", "e-mail"}
        # The one that works is not kept waiting by the others.
        assert any(labels.get("address") == stranger for labels in desk.on_duty())
        # Nor does a restart lose what waits.
        collector.sh("systemctl restart hardened-alerts.service")
    finally:
        collector.client.on("client-13", "systemctl", "start", "desk.service")
    plays.eventually(lambda: any(stranger in one["body"] for one in desk.hooks()), 40)
    plays.eventually(lambda: any(stranger in mail for mail in desk.got("mail")), 40)


@pytest.mark.parametrize("unit", ["hardened-detection.service", "hardened-alerts.service"])
def test_a_killed_part_comes_back(collector: Any, lines: Any, stranger: str, unit: str) -> None:
    collector.sh(f"systemctl kill --signal=KILL {unit}")
    plays.eventually(lambda: collector.sh(f"systemctl is-active {unit} || true").strip() == "active", 30)
    time.sleep(2)
    collector.receives(*breaches(lines, stranger))
    assert collector.alerted("rate_limit", stranger, 20)


def test_a_rotated_file_is_followed(collector: Any, lines: Any, stranger: str) -> None:
    collector.receives(*(lines.request("198.51.100.1") for _n in range(100)))
    # As when it is large: the timer's service does the same with what is larger than its limit.
    collector.sh("logrotate --force /etc/hardened/detection-lines.conf")
    collector.receives(*breaches(lines, stranger))
    assert collector.alerted("rate_limit", stranger)


def test_rules_that_are_none_are_refused_and_the_old_ones_look_on(
    client: Client, collector: Any, lines: Any, stranger: str
) -> None:
    broken = {"detection_rules": [{"rule": "rate_limit", "forget": "soon"}]}
    words = plays.refused(
        client, "../molecule/detection/converge.yml", "--limit", collector.host, "-e", json.dumps(broken)
    )
    assert "rejected by its own checker" in words and "rate_limit" in words
    collector.receives(*breaches(lines, stranger))
    assert collector.alerted("rate_limit", stranger)


def test_an_alert_survives_a_restart_of_the_host(collector: Any, lines: Any, stranger: str) -> None:
    collector.client.fleet.reboot(collector.host)
    active = "systemctl is-active hardened-detection.service hardened-alerts.service rsyslog.service || true"
    plays.eventually(lambda: collector.sh(active).split() == ["active"] * 3)
    collector.receives(*breaches(lines, stranger))
    assert collector.alerted("rate_limit", stranger, 20)


def test_a_host_that_falls_silent_is_an_alert_and_a_quiet_one_is_none(
    client: Client, collectors: list[Any]
) -> None:
    started = time.time()
    # It says every ten seconds that it is there, and nothing else.
    time.sleep(75)
    alerts = [one for collector in collectors for one in collector.alerts(started)]
    assert [one for one in alerts if one["rule"] == "silent_host"] == []
    client.on("client-13", "systemctl", "stop", "syslog.socket", "rsyslog.service")
    try:
        for collector in collectors:
            assert collector.alerted("silent_host", "client-13", 90)
    finally:
        client.on("client-13", "systemctl", "start", "syslog.socket", "rsyslog.service")
    plays.eventually(
        lambda: all(said(collector, "host_speaks_again", started) for collector in collectors), 30
    )


def attack(lines: Any, who: str) -> list[str]:
    return [lines.event("key_rejected", who, reason="wrong") for _n in range(10)]


def test_what_was_decided_while_an_edge_was_away_is_blocked_when_it_is_back(
    collector: Any, lines: Any, edge: Any, stranger: str
) -> None:
    feed = "hardened-blocklist-feed.service"
    collector.client.on("client-13", "systemctl", "stop", feed)
    try:
        collector.receives(*attack(lines, stranger))
        assert collector.alerted("key_guessing", stranger)
        collector.sh("systemctl kill --signal=KILL hardened-decisions.service")
    finally:
        collector.client.on("client-13", "systemctl", "start", feed)
    plays.eventually(lambda: stranger in edge.blocks(), 20)


def test_a_collector_that_is_away_keeps_nobody_from_another_ones_decisions(
    client: Client, collectors: list[Any], lines: Any, edge: Any, stranger: str
) -> None:
    away, here = collectors
    started = time.time()
    away.sh("systemctl stop hardened-decisions.service")
    try:
        here.receives(*attack(lines, stranger))
        plays.eventually(lambda: stranger in edge.blocks(), 15)
        plays.eventually(lambda: edge.said("decisions_unreachable", started) != [], 30)
    finally:
        away.sh("systemctl start hardened-decisions.service")
    plays.eventually(lambda: edge.said("decisions_reachable_again", started) != [], 30)


def test_decisions_that_are_damaged_begin_anew(collector: Any, lines: Any, edge: Any, stranger: str) -> None:
    collector.sh(
        "echo nonsense > /var/lib/private/hardened-detection/decisions.json; systemctl restart hardened-alerts"
    )
    time.sleep(2)
    collector.receives(*attack(lines, stranger))
    plays.eventually(lambda: stranger in edge.blocks(), 15)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the blocklist refuses to block, and what becomes of blocks that overlap."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from house import ROOT

NOW = 1_800_000_000
POLICY = {
    "allow": [{"network": "198.51.100.0/24", "reason": "uptime checks"}],
    "hosts": {"app-1": "192.0.2.11", "named": "app-9.example.net", "none": ""},
    "peers": ["2001:db8:5::/64"],
    "operators": ["192.0.2.128/25"],
    "ttl_max": "30d",
    "blocks_max": 3,
    "widest": {"4": 16, "6": 32},
}


@pytest.fixture
def program(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    module = load_program(ROOT / "roles/blocklist/files/blocklist")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    monkeypatch.setattr(module, "POLICY", policy)
    monkeypatch.setattr(module, "STATE", tmp_path / "blocklist.json")
    monkeypatch.setattr(module, "own_addresses", lambda: ["127.0.0.1", "192.0.2.5"])
    monkeypatch.setattr(module, "client_of_this_run", lambda: "192.0.2.77")
    monkeypatch.setattr(module.time, "time", lambda: NOW)
    module.loaded = []  # type: ignore[attr-defined]
    module.trail = []  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "load", lambda policy, blocks, now: module.loaded.append(blocks))
    monkeypatch.setattr(module, "audit", lambda event, block: module.trail.append((event, block.address)))
    return module


def run(
    program: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, Any, list[str]]:
    status = program.main(list(arguments))
    shown = capsys.readouterr()
    return status, json.loads(shown.out) if shown.out.startswith("{") else shown.out, shown.err.splitlines()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("198.51.100.7", "198.51.100.7: is in 198.51.100.0/24, which is in blocklist_allow: uptime checks"),
        ("198.51.0.0/16", "198.51.0.0/16: holds 198.51.100.0/24"),
        ("192.0.2.11", "192.0.2.11: is 192.0.2.11, which is the host app-1"),
        ("::ffff:192.0.2.11", "192.0.2.11: is 192.0.2.11, which is the host app-1"),
        ("2001:db8:5::1", "which is in firewall_peers"),
        ("192.0.2.200", "which is in firewall_ssh_from"),
        ("192.0.2.5", "which is this host's own address"),
        ("192.0.2.77", "which is where this command comes from"),
        ("0.0.0.0/0", "0.0.0.0/0: is wider than /16"),
        ("::/0", "::/0: is wider than /32"),
        ("127.0.0.5", "no address that clients come from"),
        ("203.0.113.9/24", "is an address within 203.0.113.0/24"),
        ("203.0.113.300", "must be an address, or a network"),
        ("", "must be an address, or a network"),
    ],
)
def test_what_would_hurt_is_refused(
    program: ModuleType, capsys: pytest.CaptureFixture[str], address: str, words: str
) -> None:
    status, _out, problems = run(program, capsys, "add", "--reason", "attacks", "--", address)
    assert status == 2
    assert any(words in problem for problem in problems), problems
    assert not program.STATE.exists() and not program.loaded


def test_everything_is_said_at_once(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _status, _out, problems = run(program, capsys, "add", "192.0.2.11", "--ttl", "0")
    assert len(problems) == 3
    assert [problem.split(":")[0] for problem in problems] == ["192.0.2.11", "ttl", "reason"]


@pytest.mark.parametrize("ttl", ["soon", "-1h", "4 h", "1y", ""])
def test_a_time_that_is_none(program: ModuleType, capsys: pytest.CaptureFixture[str], ttl: str) -> None:
    status, _out, problems = run(program, capsys, "add", "203.0.113.7", f"--ttl={ttl}", "--reason", "attacks")
    assert status == 2 and "must be a duration" in problems[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1w", 604800), ("3h59m58.123s", 14398), ("500ms", 0)],
)
def test_durations(program: ModuleType, text: str, seconds: int) -> None:
    assert program.seconds_of(text) == seconds


def test_a_block_and_its_end(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    add = ("add", "203.0.113.7", "--ttl", "1h", "--reason", "guesses keys", "--by", "ada")
    status, planned, _err = run(program, capsys, *add, "--check")
    assert status == 0 and planned["changed"] and not program.STATE.exists()
    _status, made, _err = run(program, capsys, *add)
    block = {
        "address": "203.0.113.7",
        "reason": "guesses keys",
        "by": "ada",
        "since": NOW,
        "until": NOW + 3600,
    }
    assert made == {"changed": True, "before": [], "after": [block]}
    assert json.loads(program.STATE.read_text()) == {"blocks": [block]}
    assert not run(program, capsys, *add)[1]["changed"]
    _status, shorter, _err = run(
        program, capsys, "add", "203.0.113.7", "--ttl", "5m", "--reason", "guesses keys"
    )
    assert shorter["after"][0]["until"] == NOW + 300
    assert "203.0.113.7 until" in run(program, capsys, "list")[1]
    assert run(program, capsys, "remove", "203.0.113.7")[1]["after"] == []
    assert not run(program, capsys, "remove", "203.0.113.7")[1]["changed"]
    assert program.trail == [("address_blocked", "203.0.113.7")] * 2 + [("address_unblocked", "203.0.113.7")]


def test_what_has_ended_is_gone(
    program: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(program, capsys, "add", "203.0.113.7", "--ttl", "1h", "--reason", "guesses keys")
    monkeypatch.setattr(program.time, "time", lambda: NOW + 3600)
    assert run(program, capsys, "list")[1] == ""


def test_an_address_within_a_blocked_network_is_not_let_in_alone(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run(program, capsys, "add", "203.0.113.0/24", "--reason", "guesses keys")
    status, _out, problems = run(program, capsys, "remove", "203.0.113.7")
    assert status == 2 and "is blocked by 203.0.113.0/24 too" in problems[0]


def test_there_is_an_end_to_how_many(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    for last in range(3):
        assert run(program, capsys, "add", f"203.0.113.{last}", "--reason", "guesses keys")[0] == 0
    status, _out, problems = run(program, capsys, "add", "203.0.113.9", "--reason", "guesses keys")
    assert status == 2 and "blocklist_blocks_max" in problems[0]


def test_a_damaged_record_is_named(program: ModuleType) -> None:
    program.STATE.write_text("{")
    with pytest.raises(SystemExit, match="is damaged"):
        program.main(["list"])


def test_overlaps_keep_each_address_its_last_end(program: ModuleType) -> None:
    blocks = [
        program.Block("203.0.113.0/24", "wide", "ada", NOW, NOW + 100),
        program.Block("203.0.113.64/26", "longer", "ada", NOW, NOW + 300),
        program.Block("203.0.113.70", "within, and shorter", "ada", NOW, NOW + 200),
        program.Block("203.0.113.1", "longest", "ada", NOW, NOW + 400),
        program.Block("2001:db8::/32", "another kind", "ada", NOW, NOW + 50),
    ]
    pieces = program.disjoint(blocks, NOW)
    for number in range(256):
        address = ipaddress.ip_address(f"203.0.113.{number}")
        ends = [left for network, left in pieces if address in network]
        wanted = max(block.until - NOW for block in blocks if address in block.network)
        assert ends == [wanted], address


def test_what_the_kernel_is_told(program: ModuleType) -> None:
    blocks = [
        program.Block("203.0.113.0/24", "wide", "ada", NOW, NOW + 100),
        program.Block("203.0.113.1", "longer", "ada", NOW, NOW + 400),
        program.Block("2001:db8::1", "another kind", "ada", NOW, NOW + 50),
    ]
    text = program.rules(POLICY, blocks, NOW)
    assert "203.0.113.1/32 timeout 400s" in text and "2001:db8::1/128 timeout 50s" in text
    allowed = next(line for line in text.splitlines() if "set allowed4" in line)
    assert "192.0.2.11/32" in allowed and "198.51.100.0/24" in allowed and "192.0.2.5/32" not in allowed


def test_a_rule_does_not_shorten_what_somebody_has_blocked(
    program: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    run(program, capsys, "add", "203.0.113.7", "--ttl", "2h", "--reason", "by hand")
    rule = ("add", "203.0.113.7", "--reason", "by a rule", "--at-least", "--ttl")
    assert not run(program, capsys, *rule, "1h")[1]["changed"]
    longer = run(program, capsys, *rule, "3h")[1]
    assert longer["changed"] and [one["reason"] for one in longer["after"]] == ["by a rule"]


def test_what_a_collector_decides_is_handed_on(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed: Any = load_program(ROOT / "roles/blocklist/files/blocklist-feed")
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\nprintf "%s|" "$@" >> {tmp_path}/calls\nfor last; do :; done\n[ "$last" != bad ] || {{ echo no >&2; exit 2; }}\n'
    )
    program.chmod(0o755)
    told: list[dict[str, Any]] = []
    for name, value in {
        "PROGRAM": str(program),
        "STATE": tmp_path / "feed.json",
        "say": lambda _level, event, **fields: told.append({"event": event, **fields}),
    }.items():
        monkeypatch.setattr(feed, name, value)
    feed.block({"address": "203.0.113.7", "seconds": 60.9, "reason": "x\ny"}, "192.0.2.14")
    feed.block({"address": "bad", "seconds": 60, "reason": "x"}, "192.0.2.14")
    first, _second = (tmp_path / "calls").read_text().split("add|")[1:]
    assert first == "--ttl|60|--reason|x?y|--by|detection|--at-least|--|203.0.113.7|"
    refused = {"event": "block_refused", "address": "bad", "collector": "192.0.2.14", "reason": "no"}
    assert told == [refused]
    assert feed.known() == {}
    feed.remember("192.0.2.14", 5)
    feed.remember("192.0.2.15", 7)
    assert feed.known() == {"192.0.2.14": 5, "192.0.2.15": 7}
    feed.STATE.write_text("nonsense")
    assert feed.known() == {}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that are the faces of a program on the host: how they call it, and what they make of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import call

BLOCK: dict[str, Any] = {"address": "203.0.113.7", "reason": "guesses keys", "by": "me"}
INCIDENT: dict[str, Any] = {"case": "c1", "reason": "logins", "by": "me", "isolate": True}
BLOCKED = {"address": "203.0.113.7", "reason": "guesses keys", "by": "me", "since": 1, "until": 2}


class Program:
    """Answers once, and writes down how it was called."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "program"
        self.calls = directory / "calls"

    def answers(self, status: int, output: str = "", words: str = "") -> None:
        script = "import json, sys\n"
        script += f"open({str(self.calls)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
        script += f"print({output!r}); print({words!r}, file=sys.stderr); sys.exit({status})\n"
        self.path.write_text(f"#!/usr/bin/env python3\n{script}")
        self.path.chmod(0o755)

    def call(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        return call(module, options, str(self.path), prepare="module.PROGRAM = words[0]", check=check)

    @property
    def called(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls.read_text().splitlines()]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_an_address_is_blocked(program: Program) -> None:
    program.answers(0, json.dumps({"changed": True, "before": [], "after": [BLOCKED]}))
    done = program.call("address_block", ttl="1h", **BLOCK)
    assert done["changed"] and done["blocks"] == [BLOCKED]
    assert json.loads(done["diff"]["after"]) == BLOCKED and done["diff"]["before"] == ""
    given = ["add", "--by", "me", "--ttl", "1h", "--reason", "guesses keys", "--", "203.0.113.7"]
    assert program.called == [given]


def test_a_block_is_ended_or_only_planned(program: Program) -> None:
    program.answers(0, json.dumps({"changed": False, "before": [], "after": []}))
    done = program.call("address_block", check=True, state="absent", **BLOCK)
    assert not done["changed"] and "diff" not in done
    assert program.called == [["remove", "--by", "me", "--check", "--", "203.0.113.7"]]


def test_an_incident_is_opened_extended_and_closed(program: Program) -> None:
    program.answers(0, json.dumps({"changed": True, "before": {}, "after": {"case": "c1"}}))
    assert program.call("incident", **INCIDENT)["incident"] == {"case": "c1"}
    program.call("incident", state="extended", ttl="8h")
    program.call("incident", check=True, state="closed")
    assert program.called == [
        ["open", "--ttl=4h", "--case=c1", "--reason=logins", "--by=me", "--isolate"],
        ["extend", "--ttl=8h"],
        ["close", "--check"],
    ]


@pytest.mark.parametrize(("module", "options"), [("address_block", BLOCK), ("incident", INCIDENT)])
def test_every_reason_of_a_refusal_is_told(program: Program, module: str, options: dict[str, Any]) -> None:
    program.answers(2, words="one reason\nanother")
    refused = program.call(module, **options)
    assert refused["failed"] and refused["problems"][:2] == ["one reason", "another"]
    assert refused["msg"].startswith("Nothing was changed. one reason; another")
    program.answers(1, words="the disk is full")
    assert "the disk is full" in program.call(module, **options)["msg"]


@pytest.mark.parametrize(("module", "options"), [("address_block", BLOCK), ("incident", INCIDENT)])
def test_a_host_without_the_program_is_told_how_to_get_it(
    program: Program, module: str, options: dict[str, Any]
) -> None:
    refused = program.call(module, **options)
    assert refused["failed"] and "provision.yml" in refused["msg"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the floor: what it writes, plans, refuses, and leaves in the audit trail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host

RECORD: dict[str, Any] = {
    "slot": "blue",
    "release": "one",
    "image": "api@sha256:1",
    "token": 7,
    "promoted_at": "2026-11-24T07:00:00.000000Z",
    "previous": None,
    "history": [],
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host("release_floor", tmp_path / "state" / "release.json")
    made.path.parent.mkdir()
    made.path.write_text(json.dumps(RECORD), encoding="utf-8")
    return made


def test_the_floor_is_written_once_and_nothing_else(host: Host) -> None:
    answer = host.call(release="one", token=7)
    assert answer["changed"] is True
    assert host.stored == {**RECORD, "floor": answer["floor"]}
    assert answer["floor"]["release"] == "one"
    again = host.call(release="one", token=8)
    assert (again["changed"], again["floor"]) == (False, answer["floor"])
    assert [(line["event"], line["release"], line["before"]) for line in host.audit] == [
        ("rollback_floor_raised", "one", None)
    ]


def test_check_mode_tells_and_touches_nothing(host: Host) -> None:
    answer = host.call(check=True, release="one")
    assert (answer["changed"], answer["floor"]["release"]) == (True, "one")
    assert "raised_at" in answer["diff"]["after"]
    assert (host.stored, host.audit) == (RECORD, [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"release": "two"}, "release one serves here, not two, so nothing was recorded"),
        ({"release": "one", "token": 6}, "run 7 has taken over from this one (6), so nothing was recorded"),
        ({}, "missing required arguments: release"),
    ],
)
def test_what_does_not_serve_and_who_was_overtaken_are_refused(
    host: Host, options: dict[str, Any], words: str
) -> None:
    answer = host.call(**options)
    assert answer["failed"] is True
    assert answer["msg"] == words
    assert (host.stored, host.audit) == (RECORD, [])


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"slot": "blue"}'])
def test_a_damaged_record_is_refused_and_kept(host: Host, content: str) -> None:
    host.path.write_text(content, encoding="utf-8")
    assert "is not a release record" in host.call(release="one")["msg"]
    assert host.path.read_text(encoding="utf-8") == content


def test_a_host_without_a_record_is_refused(host: Host) -> None:
    host.path.unlink()
    assert host.call(release="one")["msg"] == "nothing was released here, not one, so nothing was recorded"

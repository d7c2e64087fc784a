# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the record: what it writes, plans, refuses, and leaves in the audit trail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host

ONE: dict[str, Any] = {"slot": "blue", "release": "one", "image": "api@sha256:1"}
TWO: dict[str, Any] = {"slot": "green", "release": "two", "image": "api@sha256:2"}


def written(path: Path) -> tuple[int, int, int]:
    """What tells whether a file was written or replaced; that it was read may show elsewhere."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("release_record", tmp_path / "state" / "release.json")


def test_the_first_record_is_written(host: Host) -> None:
    answer = host.call(**ONE)
    assert answer["changed"] is True
    assert host.stored == answer["record"]
    assert {key: host.stored[key] for key in ONE} == ONE
    assert (host.stored["previous"], host.stored["history"]) == (None, [])
    assert host.path.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(host.path.parent) == ["release.json"]


def test_the_same_again_changes_nothing(host: Host) -> None:
    first = host.call(**ONE)
    before = written(host.path)
    answer = host.call(**ONE)
    assert (answer["changed"], answer["record"]) == (False, first["record"])
    assert "diff" not in answer
    assert written(host.path) == before
    assert len(host.audit) == 1


def test_another_release_keeps_the_one_before(host: Host) -> None:
    first = host.call(**ONE)["record"]
    second = host.call(**TWO)["record"]
    kept = {key: first[key] for key in ("slot", "release", "image", "promoted_at")}
    assert (second["previous"], second["history"]) == (kept, [kept])
    assert second["promoted_at"] > first["promoted_at"]


def test_each_change_leaves_one_line_in_the_audit_trail(host: Host) -> None:
    host.call(**ONE)
    record = host.call(**TWO)["record"]
    assert [line["event"] for line in host.audit] == ["release_promoted"] * 2
    assert host.audit[0]["replaced"] is None
    expected = {**TWO, "event": "release_promoted", "promoted_at": record["promoted_at"], "replaced": "one"}
    assert host.audit[1] == expected


def test_check_mode_tells_and_touches_nothing(host: Host) -> None:
    answer = host.call(check=True, **ONE)
    assert answer["changed"] is True
    assert not host.path.parent.exists()
    assert host.audit == []
    host.call(**ONE)
    before = host.path.read_bytes()
    assert host.call(check=True, **TWO)["changed"] is True
    assert host.call(check=True, **ONE)["changed"] is False
    assert host.path.read_bytes() == before
    assert len(host.audit) == 1


def test_the_diff_is_the_file(host: Host) -> None:
    first = host.call(**ONE)["diff"]
    assert first["before"] == ""
    assert first["after"] == host.path.read_text(encoding="utf-8")
    assert first["after_header"] == str(host.path)
    before = host.path.read_text(encoding="utf-8")
    second = host.call(**TWO)["diff"]
    assert (second["before"], second["after"]) == (before, host.path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"slot": "blue"}', "\udcff", "null"])
def test_a_damaged_record_is_refused_and_kept(host: Host, content: str) -> None:
    host.path.parent.mkdir()
    host.path.write_bytes(content.encode(errors="surrogateescape"))
    before = host.path.read_bytes()
    answer = host.call(**ONE)
    assert answer["failed"] is True
    assert answer["msg"] == f"{host.path} is not a release record. Move it away and record again what serves"
    assert host.path.read_bytes() == before
    assert host.audit == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**ONE, "slot": "red"}, "value of slot must be one of: blue, green"),
        ({"slot": "blue", "release": "one"}, "missing required arguments: image"),
    ],
)
def test_wrong_arguments_are_refused(host: Host, options: dict[str, Any], words: str) -> None:
    answer = host.call(**options)
    assert answer["failed"] is True
    assert words in answer["msg"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge's log reader tells, and what it keeps to itself."""

from __future__ import annotations

import json
import os
import syslog
import time
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from house import ROOT

READER = run_path(str(ROOT / "roles/reverse_proxy/files/edge-log"))


def event_of(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(READER["hit_of"](line).text)
    return found


def transaction(*rules: tuple[int, str], engine: str = "Enabled", status: int = 403) -> bytes:
    messages = [
        {
            "message": text,
            "details": {"ruleId": str(rule), "data": "Matched Data: hunter2", "match": "hunter2"},
        }
        for rule, text in rules
    ]
    found: dict[str, Any] = {
        "client_ip": "192.0.2.7",
        "unique_id": "abc",
        "request": {"method": "POST", "uri": "/v1/items?token=hunter2", "body": "hunter2"},
        "response": {"http_code": status, "body": "hunter2"},
        "producer": {"secrules_engine": engine},
        "messages": messages,
    }
    return json.dumps({"transaction": found}).encode()


SQL = (942100, "SQL Injection Attack Detected via libinjection")
TOTAL = (949110, "Inbound Anomaly Score Exceeded (Total Score: 15)")


def test_a_refusal() -> None:
    assert event_of(transaction(SQL, TOTAL)) == {
        "event": "waf",
        "action": "blocked",
        "request_id": "abc",
        "client": "192.0.2.7",
        "method": "POST",
        "path": "/v1/items",
        "status": 403,
        "score": 15,
        "rules": [{"id": 942100, "message": SQL[1]}],
    }


@pytest.mark.parametrize(
    ("line", "action", "score"),
    [
        (transaction(SQL, TOTAL, engine="DetectionOnly", status=200), "detected", 15),
        (transaction(SQL, status=200), "detected", None),
        (transaction((102, "The body is not what its content type says"), status=400), "blocked", None),
    ],
)
def test_what_was_done(line: bytes, action: str, score: int | None) -> None:
    told = event_of(line)
    assert (told["action"], told["score"]) == (action, score)


def test_bytes_that_are_no_text_do_not_hide_a_refusal() -> None:
    told = event_of(transaction(SQL, TOTAL).replace(b"hunter2", b"\xff"))
    assert (told["action"], told["score"]) == ("blocked", 15)


@pytest.mark.parametrize(
    "line", [transaction(SQL, TOTAL), b"hunter2", b"{}", b'{"transaction": "hunter2"}', b"\xff"]
)
def test_nothing_that_was_sent_is_told(line: bytes) -> None:
    told = event_of(line)
    assert told["event"] == "waf"
    assert "hunter2" not in json.dumps(told)


def test_complaints_of_nginx_lose_their_queries() -> None:
    line = (
        b"2026/11/24 13:52:52 [warn] 7#7: *4 limiting requests, client: 192.0.2.7, server: api.example.com, "
        b'request: "GET /v1/items?token=hunter2&a=%22 HTTP/2.0", host: "api.example.com", '
        b'upstream: "http://unix:/run/slot:/v1/items?token=hunter2", referrer: "https://x.example/?q=hunter2"\n'
    )
    level, text = READER["complaint_of"](line)
    assert level == syslog.LOG_WARNING
    assert "hunter2" not in text
    assert 'request: "GET /v1/items?... HTTP/2.0", host: "api.example.com"' in text


def test_what_the_firewall_refused_is_told_once() -> None:
    assert (
        READER["complaint_of"](
            b"... [error] 1#1: *6 [client 192.0.2.7] ModSecurity: Access denied with code 403\n"
        )
        is None
    )


class Access:
    """An access log, and how often nginx was told to open it anew."""

    def __init__(self, path: Path, told: Path) -> None:
        self.path, self.before = path, path.with_name(path.name + ".1")
        self._told = told
        self.log = READER["AccessLog"](str(path))

    @property
    def told(self) -> int:
        return len(self._told.read_text().splitlines()) if self._told.exists() else 0


@pytest.fixture
def access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Access:
    told = tmp_path / "told"
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(systemctl.parent), prepend=os.pathsep)
    path = tmp_path / "access.jsonl"
    path.write_text("one\n")
    return Access(path, told)


def test_a_small_log_is_left_alone(access: Access) -> None:
    access.log.keep_small()
    assert (access.path.read_text(), access.before.exists(), access.told) == ("one\n", False, 0)


@pytest.mark.parametrize("why", ["large", "old"])
def test_a_log_is_begun_anew(access: Access, why: str) -> None:
    if why == "large":
        os.truncate(access.path, READER["ACCESS_LARGE"] + 1)
    else:
        access.log.begun = time.monotonic() - READER["ACCESS_OLD"] - 1
    access.log.keep_small()
    assert access.before.read_bytes().startswith(b"one\n")
    assert (access.path.read_text(), access.path.stat().st_mode & 0o777, access.told) == ("", 0o660, 1)
    access.log.keep_small()
    assert access.told == 1


def test_killed_between_renaming_and_beginning(access: Access) -> None:
    access.path.rename(access.before)
    access.log.keep_small()
    assert (access.path.read_text(), access.before.read_text(), access.told) == ("", "one\n", 1)


def test_nginx_is_told_again_while_it_goes_on_with_the_file_before(access: Access) -> None:
    access.path.rename(access.before)
    access.log.keep_small()
    later = time.time() + READER["REOPENED"] + 1
    os.utime(access.before, (later, later))
    access.log.keep_small()
    assert access.told == 2

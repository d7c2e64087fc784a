# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom an alert is told, how often, and what becomes of those that a channel does not take."""

from __future__ import annotations

import email
import hashlib
import hmac
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from house import ROOT


@pytest.fixture
def program(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    module = load_program(ROOT / "roles/detection/files/alerts")
    monkeypatch.setattr(module, "STATE", tmp_path / "told.json")
    monkeypatch.setattr(module, "DECISIONS", tmp_path / "decisions.json")
    module.said = []  # type: ignore[attr-defined]
    monkeypatch.setattr(
        module, "say", lambda _level, event, **fields: module.said.append({"event": event, **fields})
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    return module


def alert(program: ModuleType, source: str = "203.0.113.7", rule: str = "rate_limit") -> Any:
    at = "2026-11-29T08:10:36.795619Z"
    return program.Alert(rule, "One address", "warning", "address", source, 20, at, at, ["edge-1"])


@pytest.fixture
def desk() -> Iterator[Any]:
    """A receiver over HTTP; `status` is what it answers."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
            self.send_response(server.status)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.got, server.status = [], 204  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def webhook(program: ModuleType, desk: Any) -> Any:
    settings = {"name": "desk", "url": f"http://127.0.0.1:{desk.server_address[1]}/hook"}
    return program.Channel("webhook desk", "webhook", settings, "lab")


def test_the_same_of_the_same_source_is_told_once(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(program.time, "time", lambda: now[0])
    state = program.State()
    for one in (alert(program), alert(program), alert(program, "203.0.113.8"), alert(program, rule="x")):
        program.tell(state, one, ["one", "two"], 60)
    told = [(one["rule"], one["source"]) for one in state.waiting["one"]]
    assert told == [("rate_limit", "203.0.113.7"), ("rate_limit", "203.0.113.8"), ("x", "203.0.113.7")]
    assert state.waiting["two"] == state.waiting["one"]
    assert [one["event"] for one in program.said] == ["alert"] * 3
    now[0] += 61
    program.tell(state, alert(program), ["one"], 60)
    assert state.waiting["one"][-1]["before"] == 1


def test_there_is_an_end_to_what_waits_and_the_oldest_goes(program: ModuleType) -> None:
    state = program.State()
    for number in range(1, 1101):
        program.tell(state, alert(program, str(number)), ["one"], 60)
    assert [one["source"] for one in state.waiting["one"]] == [str(n) for n in range(101, 1101)]


def test_what_was_told_is_kept_over_a_restart(program: ModuleType) -> None:
    state = program.State()
    program.tell(state, alert(program), ["one"], 60)
    state.save()
    assert asdict(program.State.load()) == asdict(state)


def test_a_damaged_state_is_said_and_left(program: ModuleType) -> None:
    program.STATE.write_text("{")
    assert program.State.load().last == 0
    assert program.said[0]["event"] == "state_damaged"


def test_a_channel_that_fails_keeps_what_it_has(
    program: ModuleType, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(program.time, "monotonic", lambda: now[0])
    way, state = webhook(program, desk), program.State()
    for number in range(1, 26):
        program.tell(state, alert(program, str(number)), [way.name], 60)
    desk.status = 500
    assert not way.try_to_tell(state)
    assert len(state.waiting[way.name]) == 25
    # Not again at once, and not a line for each time.
    assert not way.try_to_tell(state) and len(desk.got) == 1
    for _time in range(3):
        now[0] += 400
        assert not way.try_to_tell(state)
    said = [one for one in program.said if one["event"] != "alert"]
    assert [one["event"] for one in said] == ["alert_channel_failed"]
    assert "500" in said[0]["reason"] or "Internal" in said[0]["reason"]
    desk.status, now[0] = 204, now[0] + 400
    # First one, to see whether it works again.
    assert way.try_to_tell(state) and len(state.waiting[way.name]) == 24
    assert program.said[-1]["event"] == "alert_channel_works_again"
    assert way.try_to_tell(state) and way.try_to_tell(state) and state.waiting[way.name] == []
    assert not way.try_to_tell(state)


def test_one_that_is_not_taken_does_not_keep_the_others_back(
    program: ModuleType, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(program.time, "monotonic", lambda: now[0])
    way, state = webhook(program, desk), program.State()
    for number in range(1, 4):
        program.tell(state, alert(program, str(number)), [way.name], 60)
    desk.status = 400
    assert not way.try_to_tell(state) and len(state.waiting[way.name]) == 3
    now[0] += 400
    assert way.try_to_tell(state) and [one["source"] for one in state.waiting[way.name]] == ["2", "3"]
    assert program.said[-1]["event"] == "alert_not_taken"
    assert program.said[-1]["alert"]["source"] == "1"
    desk.status = 204
    assert way.try_to_tell(state) and way.try_to_tell(state) and state.waiting[way.name] == []


def test_a_webhook_is_signed_over_its_time_and_body(program: ModuleType, desk: Any, tmp_path: Path) -> None:
    (tmp_path / "alerts.webhook").write_text("a key of the desk")
    webhook(program, desk).deliver([alert(program)])
    _path, headers, body = desk.got[0]
    signed = f"{headers['X-Hardened-Timestamp']}.".encode() + body
    wanted = hmac.new(b"a key of the desk", signed, hashlib.sha256).hexdigest()
    assert headers["X-Hardened-Signature"] == f"sha256={wanted}"
    assert json.loads(body)["alerts"][0]["source"] == "203.0.113.7"


def test_a_webhook_without_a_key_is_not_signed(program: ModuleType, desk: Any) -> None:
    webhook(program, desk).deliver([alert(program)])
    assert "X-Hardened-Signature" not in desk.got[0][1]


def test_alertmanager_gets_labels_that_make_one_alert_of_the_same(program: ModuleType, desk: Any) -> None:
    settings = {"name": "duty", "url": f"http://127.0.0.1:{desk.server_address[1]}/"}
    program.Channel("alertmanager duty", "alertmanager", settings, "lab").deliver([alert(program)])
    path, _headers, body = desk.got[0]
    assert path == "/api/v2/alerts"
    (told,) = json.loads(body)
    labels = {
        "alertname": "rate_limit",
        "severity": "warning",
        "environment": "lab",
        "address": "203.0.113.7",
    }
    assert told["labels"] == labels and told["startsAt"].endswith("Z")


def test_a_message_has_one_subject_whatever_the_source_is(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    class Server:
        def __init__(self, *_arguments: Any, **_options: Any) -> None:
            pass

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_arguments: object) -> None:
            pass

        def send_message(self, message: Any) -> None:
            sent.append(email.message_from_bytes(message.as_bytes()))

    monkeypatch.setattr(program.smtplib, "SMTP", Server)
    settings = {
        **{"to": ["desk@example.net", "boss@example.net"], "from": "alerts@lab.internal"},
        **{"server": "x", "port": 25, "tls": "none", "user": ""},
    }
    way = program.Channel("e-mail", "email", settings, "lab")
    way.deliver([alert(program, "k\r\nBcc: everybody@example.net"), alert(program)])
    assert sent[0]["To"] == "desk@example.net, boss@example.net" and sent[0]["Bcc"] is None
    assert sent[0]["Subject"].startswith("[lab] One address: k??Bcc:") and "and 1 more" in sent[0]["Subject"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-29 08:10:36.795619596 +0000 UTC", "2026-11-29T08:10:36.795619Z"),
        ("2026-11-29T08:10:36Z", "2026-11-29T08:10:36Z"),
    ],
)
def test_times_of_the_engine(program: ModuleType, text: str, wanted: str) -> None:
    assert program.moment(text) == wanted


@pytest.mark.parametrize(("last", "wanted"), [(0, [1, 2]), (1, [2]), (2, []), (90, [1, 2])])
def test_what_is_new_also_of_an_engine_that_began_anew(
    program: ModuleType, last: int, wanted: list[int]
) -> None:
    engine = program.Engine({"api": "", "credentials": "/", "rules": {}})
    engine.token = "one"
    meta = [{"meta": [{"key": "host", "value": "edge-1"}]}]
    source = {"scope": "Ip", "value": "203.0.113.7"}
    times = {"start_at": "2026-11-29 08:10:36.7 +0000 UTC", "stop_at": "2026-11-29 08:10:37.7 +0000 UTC"}
    known = [
        {"id": number, "scenario": "gone", "source": source, "events_count": 5, "events": meta, **times}
        for number in (2, 1)
    ]
    engine._ask = lambda _path, _body=None: known
    found = engine.newer_than(last)
    assert [number for number, _alert in found] == wanted
    for _number, one in found:
        assert (one.scope, one.source, one.hosts, one.severity) == (
            "address",
            "203.0.113.7",
            ["edge-1"],
            "warning",
        )


def test_a_try_says_what_became_of_each_channel(
    program: ModuleType, desk: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{desk.server_address[1]}/hook"
    configuration = {
        "environment": "lab",
        "webhooks": [{"name": "desk", "url": url}, {"name": "gone", "url": "http://127.0.0.1:1/"}],
        "alertmanagers": [],
        "email": {"to": []},
    }
    assert program.test(configuration) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "webhook desk: delivered" and second.startswith("webhook gone: URLError: ")


def test_a_host_that_falls_silent_is_told_once_and_heard_again(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(program.time, "time", lambda: now[0])
    monkeypatch.setattr(program.time, "monotonic", lambda: now[0])

    def hears(host: str) -> None:
        (tmp_path / host).mkdir(exist_ok=True)
        (tmp_path / host / "rsyslogd.jsonl").touch()
        os.utime(tmp_path / host / "rsyslogd.jsonl", (now[0], now[0]))

    rule = {"description": "A host has fallen silent", "severity": "critical"}
    silence = program.Silence(
        {
            "rules": {"silent_host": rule},
            "hosts": ["app-1", "app-2"],
            "silent": 300,
            "directory": str(tmp_path),
        }
    )
    state = program.State()
    hears("app-1")
    assert silence.look(state) == []
    now[0] += 290
    hears("app-1")
    # app-2 has never said anything: it has its time from the beginning on.
    assert silence.look(state) == []
    now[0] += 20
    (one,) = silence.look(state)
    assert (one.source, one.scope, one.severity, state.silent) == ("app-2", "host", "critical", ["app-2"])
    now[0] += 20
    assert silence.look(state) == []
    hears("app-2")
    now[0] += 20
    assert silence.look(state) == [] and state.silent == []
    assert program.said == [{"event": "host_speaks_again", "host": "app-2"}]


def decided(program: ModuleType) -> list[tuple[int, str, float]]:
    kept = json.loads(program.DECISIONS.read_text())
    return [(one["id"], one["address"], one["until"]) for one in kept["decisions"]]


def test_an_address_is_decided_about_each_time(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.time, "time", lambda: 1000.0)
    decisions = program.Decisions.load()
    assert decisions.last == 1000
    decisions.note(alert(program), {"block": "1h"})
    decisions.note(alert(program, "203.0.113.8"), {"block": "30s"})
    assert decided(program) == [(1001, "203.0.113.7", 4600.0), (1002, "203.0.113.8", 1030.0)]
    monkeypatch.setattr(program.time, "time", lambda: 1031.0)
    again = program.Decisions.load()
    again.note(alert(program), {"block": "1h"})
    assert decided(program) == [(1003, "203.0.113.7", 4631.0)]


@pytest.mark.parametrize("rule", [{}, {"block": ""}])
def test_who_is_not_to_be_blocked_is_not(program: ModuleType, rule: dict[str, str]) -> None:
    decisions = program.Decisions.load()
    decisions.note(alert(program), rule)
    host = alert(program)
    host.scope = "host"
    decisions.note(host, {"block": "1h"})
    assert not program.DECISIONS.exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("4h", 14400), ("7d", 604800), ("1w", 604800)]
)
def test_how_long_a_block_is(program: ModuleType, text: str, seconds: int) -> None:
    assert program.seconds_of(text) == seconds


def test_what_holds_and_is_new_is_told(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_program(ROOT / "roles/detection/files/decisions")
    monkeypatch.setattr(module, "DECISIONS", tmp_path / "decisions.json")
    assert module.since(0, 1000.0) == {"last": 0, "decisions": []}
    kept = [
        {"id": n, "address": f"203.0.113.{n}", "until": 1000.0 + 10 * n, "reason": "x"} for n in range(1, 4)
    ]
    module.DECISIONS.write_text(json.dumps({"last": 3, "decisions": kept}))
    told = module.since(1, 1020.0)
    assert told == {
        "last": 3,
        "decisions": [{"id": 3, "address": "203.0.113.3", "seconds": 10, "reason": "x"}],
    }
    assert module.since(3, 1000.0)["decisions"] == []
    # An edge that knows more than there is has known another collector, or this one before it was made anew.
    assert [one["id"] for one in module.since(99, 1000.0)["decisions"]] == [1, 2, 3]

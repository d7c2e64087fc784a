# SPDX-License-Identifier: GPL-3.0-or-later
"""What an incident's program refuses, what it makes of what is open, and what a review and a verification find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from house import ROOT

NOW = 1_800_000_000
POLICY = {
    "groups": ["edge", "database"],
    "operators": [],
    "collectors": ["192.0.2.14", "2001:db8::14"],
    "collector_port": 20514,
    "drain": ["nginx.service"],
    "ttl_max": "7d",
}


@pytest.fixture
def program(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The program, on a host whose commands are written down instead."""
    module: Any = load_program(ROOT / "roles/incident/files/incident")
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    module.commands = []
    module.broken = ""

    def run(*command: str, text: str = "") -> str:
        module.commands.append((" ".join(command), text))
        if module.broken and module.broken in " ".join(command):
            raise OSError("it is broken")
        return ""

    for name, value in {
        "POLICY": policy,
        "STATE": tmp_path / "incident.json",
        "OVERLAY": overlay,
        "run": run,
        "quietly": lambda *command: module.commands.append((" ".join(command), "")) or True,
        "client_of_this_run": lambda: "192.0.2.77",
        "audit": lambda event, incident, **more: None,
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module.time, "time", lambda: NOW)
    return module


def call(program: Any, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = program.main(list(arguments))
    said = capsys.readouterr()
    return status, json.loads(said.out) if status == 0 else said.err.splitlines()


OPEN = ("open", "--case=c1", "--reason=logins", "--by=me")


def test_opened_and_closed(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = call(program, capsys, *OPEN, "--tighten", "--ttl=1h")
    assert status == 0 and told["changed"] and told["after"]["until"] == NOW + 3600
    assert {path.name for path in program.OVERLAY.iterdir()} == {"limits.conf", "postgres.conf"}
    assert any("--on-calendar=2027-01-15 09:00:00 UTC" in command for command, _text in program.commands)
    assert not call(program, capsys, *OPEN, "--tighten", "--ttl=2h")[1]["changed"]
    status, told = call(program, capsys, "close")
    assert told["changed"] and told["after"] == {}
    assert list(program.OVERLAY.iterdir()) == [] and not program.STATE.exists()
    assert not call(program, capsys, "close")[1]["changed"]


def test_all_reasons_are_told_at_once(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call(program, capsys, *OPEN)
    before = program.STATE.read_text()
    status, problems = call(program, capsys, "open", "--case=../x", "--ttl=0")
    assert status == 2 and len(problems) == 4
    assert program.STATE.read_text() == before


@pytest.mark.parametrize("broken", ["nft --file", "nginx -t", "try-reload-or-restart", "systemd-run"])
def test_what_cannot_begin_is_taken_back(
    program: Any, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    program.broken = broken
    status, problems = call(program, capsys, *OPEN, "--tighten")
    assert status == 1 and "it is broken" in problems[0]
    assert list(program.OVERLAY.iterdir()) == [] and not program.STATE.exists()


def test_what_is_open_stays_as_it_was_if_more_cannot_be_added(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call(program, capsys, *OPEN)
    before = program.STATE.read_text()
    program.broken = "nginx -t"
    assert call(program, capsys, *OPEN, "--tighten")[0] == 1
    assert program.STATE.read_text() == before
    assert {path.name for path in program.OVERLAY.iterdir()} == {"postgres.conf"}


def test_a_host_that_is_cut_off_has_ways_for_operators_and_collectors_alone(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _status, told = call(program, capsys, *OPEN, "--isolate")
    assert told["after"]["stopped"] == ["nginx.service"] and told["after"]["operators"] == ["192.0.2.77"]
    (rules,) = [text for command, text in program.commands if "hardened_isolation" in text]
    assert "operators4 { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.77/32 }; }" in rules
    assert (
        "collectors6 { type ipv6_addr; flags interval; auto-merge; elements = { 2001:db8::14/128 }; }"
        in rules
    )
    call(program, capsys, "close")
    assert ("/usr/bin/systemctl start --no-block nginx.service", "") in program.commands


def test_what_was_stopped_is_started_if_the_host_cannot_be_cut_off(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call(program, capsys, *OPEN)
    before = program.STATE.read_text()
    program.broken = "systemctl stop nginx"
    assert call(program, capsys, *OPEN, "--tighten", "--isolate")[0] == 1
    assert ("/usr/bin/systemctl start --no-block nginx.service", "") in program.commands
    assert program.STATE.read_text() == before
    assert {path.name for path in program.OVERLAY.iterdir()} == {"postgres.conf"}


def test_what_may_have_been_stopped_is_started_if_nobody_knows_any_more(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    call(program, capsys, *OPEN, "--isolate")
    program.STATE.write_text("nonsense")
    assert call(program, capsys, "close")[0] == 0
    assert ("/usr/bin/systemctl start --no-block nginx.service", "") in program.commands
    assert not program.STATE.exists()


def test_at_the_start_of_a_host_its_time_is_looked_at(
    program: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call(program, capsys, *OPEN, "--ttl=1h")
    program.commands.clear()
    assert not call(program, capsys, "resume")[1]["changed"]
    assert any("hardened_incident" in text for _command, text in program.commands)
    monkeypatch.setattr(program.time, "time", lambda: NOW + 3600)
    assert call(program, capsys, "resume")[1]["after"] == {}
    assert not program.STATE.exists()


@pytest.mark.parametrize(("case", "window"), [("../x", "1h"), ("c1", "soon"), ("c1", "")])
def test_evidence_names_no_file_elsewhere(
    program: Any, capsys: pytest.CaptureFixture[str], case: str, window: str
) -> None:
    status, problems = call(program, capsys, "evidence", f"--case={case}", f"--since={window}")
    assert status == 2 and len(problems) == 1


def line(at: str, host: str, service: str, **more: Any) -> str:
    return (
        json.dumps({"received": f"2026-11-29T{at}.000000+00:00", "host": host, "service": service, **more})
        + "\n"
    )


@pytest.fixture
def review(
    load_program: Callable[[Path], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    module = load_program(ROOT / "roles/incident/files/incident-review")
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")

    def made(lines: list[str], *arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
        stream = tmp_path / "logs" / "edge-1" / "stream.jsonl"
        stream.parent.mkdir(parents=True, exist_ok=True)
        stream.write_text("".join(lines))
        window = ["--since=2026-11-29T10:00:00Z", "--until=2026-11-29T11:00:00Z"]
        assert module.main([*window, *arguments]) == 0
        return capsys.readouterr().out

    return made


def request(at: str, client: str, status: int, key: str = "", **more: Any) -> str:
    data = {"event": "request", "client": client, "status": status, "key_id": key, **more}
    return line(at, "edge-1", "nginx_access", data=data)


def test_a_review_counts_what_is_within_its_window(
    review: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    alert = {"event": "alert", "rule": "rate_limit", "source": "203.0.113.7"}
    lines = [
        request("09:59:59", "203.0.113.1", 200, "old"),
        request("10:00:00", "203.0.113.7", 200, "old"),
        request("10:00:01", "203.0.113.7", 200, "new"),
        request("10:00:02", "203.0.113.7", 429, "new"),
        request("11:00:00", "203.0.113.9", 401),
        line("10:30:00", "log-1", "hardened-alerts", data=alert),
        line("10:20:00", "edge-1", "hardened", data={"event": "address_blocked", "address": "203.0.113.7"}),
        "no json\n",
    ]
    found = json.loads(review(lines, "--format=json", capsys=capsys))
    assert found["requests"] == {"2xx": 2, "4xx": 1}
    assert found["addresses_refused"] == {"203.0.113.7": 1} and found["keys_refused"] == {"new": 1}
    assert found["new"]["keys"] == ["new"]
    assert found["kinds"]["limits exceeded"] == {"rate_limit": 1} and found["damaged_lines"] == 1
    assert [entry["what"].split()[0] for entry in found["timeline"]] == ["address_blocked", "alert"]


def test_a_review_tells_whose_clock_is_wrong(
    review: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        line("10:00:05", "app-1", "x", time="2026-11-29T10:00:04.900000+00:00"),
        # One that had to wait says nothing of the clock.
        line("10:20:00", "app-1", "x", time="2026-11-29T10:10:00.000000+00:00"),
        line("10:00:00", "app-2", "x", time="2026-11-29T12:01:00+02:00"),
        line("10:00:00", "app-3", "x", time="no time"),
    ]
    found = json.loads(review(lines, "--format=json", capsys=capsys))
    assert found["clocks_behind_seconds"] == {"app-1": 0.1, "app-2": -60.0}


def test_what_clients_say_is_text_in_a_review(
    review: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    page = review([request("10:00:00", "<script>alert(1)</script>", 404)], "--format=html", capsys=capsys)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "nothing earlier to compare with" in page


def test_of_a_large_log_the_last_lines_are_kept(
    load_program: Callable[[Path], ModuleType], tmp_path: Path
) -> None:
    module = load_program(ROOT / "roles/incident/files/incident-evidence")
    log = tmp_path / "stream.jsonl"
    lines = [line(f"10:00:{n % 60:02d}", "edge-1", "x", number=n) for n in range(1000)]
    log.write_text(line("09:00:00", "edge-1", "x") + "".join(lines))
    since = 1_795_946_400  # 10:00
    whole, cut = module.latest(log, since, 10**6)
    assert (whole.decode(), cut) == ("".join(lines), False)
    some, cut = module.latest(log, since, 5000)
    kept = some.decode().splitlines(keepends=True)
    assert cut and 4500 < len(some) <= 5000 and kept == lines[-len(kept) :]
    assert module.latest(log, since, 0) == (b"", True)

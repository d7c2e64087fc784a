# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence is taken and can be trusted, measures begin and end by themselves, and nothing is left of them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from labkit import plays

HOSTS = ("app-12", "app-13")
per_host = pytest.mark.parametrize("host", HOSTS)
OPEN = ("open", "--case=c1", "--reason=a test")


def tables(desk: Any, host: str) -> set[str]:
    found = desk.client.on(host, "nft", "list", "tables").split("\n")
    return {line.split()[-1] for line in found if line}


def ends(desk: Any, host: str, before: set[str], seconds: float) -> float:
    """How long it takes until the host is as it was."""
    started = time.monotonic()
    plays.eventually(lambda: desk.left({host: before}) == {}, seconds)
    return time.monotonic() - started


@per_host
def test_it_ends_by_itself(desk: Any, host: str) -> None:
    before = desk.look(host)
    now = desk.program(host, *OPEN, "--ttl=12s")
    assert now["changed"] and tables(desk, host) >= {"hardened_incident"}
    assert ends(desk, host, before, 20) > 5
    assert desk.program(host, "status") == {}
    said = desk.client.on(host, "journalctl", "-t", "hardened", "-o", "cat", "--no-pager", "-n", "1")
    assert json.loads(said)["event"] == "incident_closed" and json.loads(said)["how"] == "expire"


@per_host
def test_a_plan_changes_nothing(desk: Any, host: str) -> None:
    before = desk.look(host)
    planned = desk.program(host, *OPEN, "--tighten", "--check")
    assert planned["changed"] and planned["after"]["tighten"]
    assert desk.left({host: before}) == {} and desk.program(host, "status") == {}


@per_host
def test_a_second_time_changes_nothing_and_what_is_lost_comes_back(desk: Any, host: str) -> None:
    assert desk.program(host, *OPEN)["changed"]
    desk.client.on(host, "nft", "delete", "table", "inet", "hardened_incident")
    assert not desk.program(host, *OPEN)["changed"]
    assert "hardened_incident" in tables(desk, host)


@per_host
def test_its_end_can_be_moved(desk: Any, host: str) -> None:
    before = desk.look(host)
    desk.program(host, *OPEN, "--ttl=1h")
    assert not desk.program(host, "extend", "--ttl=1h")["changed"]
    moved = desk.program(host, "extend", "--ttl=10s")
    assert moved["changed"] and moved["after"]["until"] < moved["before"]["until"]
    assert ends(desk, host, before, 20) > 3


@per_host
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("open", "--case=c1"), "reason: is missing"),
        (("open", "--case=../x", "--reason=x", "--ttl=0"), "case: '../x' must be"),
        (("open", "--case=../x", "--reason=x", "--ttl=0"), "ttl: must be at least 10 seconds"),
        (("open", "--case=c1", "--reason=x", "--ttl=8d"), "ttl: must be at most 7d (incident_ttl_max)"),
        (("open", "--case=c1", "--reason=x", "--ttl=soon"), "soon: must be a duration"),
        (("open", "--case=c1", "--reason=x", "--isolate"), "isolate: nobody could get in any more"),
        (("extend", "--ttl=1h"), "no incident is open here"),
    ],
)
def test_what_would_hurt_is_refused(desk: Any, host: str, arguments: tuple[str, ...], words: str) -> None:
    before = desk.look(host)
    assert words in desk.refused(host, *arguments)
    assert desk.left({host: before}) == {} and desk.program(host, "status") == {}


def test_a_second_incident_is_refused_everywhere(desk: Any) -> None:
    desk.program("app-12", *OPEN)
    before = desk.look("app-13")
    done = desk.verb(state="open", case="c2", reason="another one")
    words = " ".join(done.stdout.split())
    assert done.returncode != 0 and "c1 is open until" in words and "(app-12)" in words
    assert desk.left({"app-13": before}) == {} and desk.program("app-13", "status") == {}


def test_where_nothing_is_open_nothing_is_prolonged(desk: Any) -> None:
    assert "no incident is open here" in desk.verb(state="extend", ttl="2h").stdout
    desk.program("app-12", *OPEN, "--ttl=1h")
    done = desk.verb(state="extend", ttl="2h")
    assert done.returncode == 0, done.stdout[-3000:]
    now = desk.program("app-12", "status")
    assert now["until"] - now["since"] > 3600 and desk.program("app-13", "status") == {}


def test_what_is_wanted_has_to_be_said(desk: Any) -> None:
    for options in ({}, {"state": "open"}, {"state": "open", "case": "c1", "reason": "x", "isolate": "true"}):
        done = desk.verb(**options)
        assert done.returncode != 0 and "Say -e state=open" in " ".join(done.stdout.split()), options
    alone = desk.verb(state="open", case="c1", reason="x", host="log-13", isolate="true")
    assert alone.returncode != 0 and "outage=accepted" in alone.stdout


def test_a_host_is_cut_off_but_for_operators_and_collectors(desk: Any) -> None:
    client = desk.client
    assert client.reach("app-13", "app-12", 8441) == "reached"
    desk.opened(case="c1", host="app-12", isolate="true")
    started = time.monotonic()
    assert client.reach("app-13", "app-12", 8441) == "ConnectionRefusedError"
    # At once: whoever asked can ask another host.
    assert time.monotonic() - started < 1.5
    assert client.reach("app-12", "app-13", 8441) == "ConnectionRefusedError"
    assert client.reach("app-12", "log-13", 20514) == "reached"
    assert client.reach("app-12", "log-13", 22) == "ConnectionRefusedError"
    assert desk.program("app-12", "status")["stopped"] == ["hardened-listener.service"]
    # The operator, who comes by SSH, still gets in; the other host is as it was.
    assert "c1 until" in desk.verb(state="status").stdout
    assert client.reach("app-13", "log-13", 22) == "reached"
    closed = desk.verb(state="close")
    assert closed.returncode == 0, closed.stdout[-3000:]
    plays.eventually(lambda: client.reach("app-13", "app-12", 8441) == "reached", 10)
    assert client.on("log-13", "ls", "/var/lib/hardened-incident/c1/report").split() == [
        "review.html",
        "review.json",
        "review.txt",
    ]


def test_evidence_is_kept_and_what_is_changed_in_it_is_found(desk: Any) -> None:
    case = f"evidence-{time.time():.0f}"
    client, kept = desk.client, f"/var/lib/hardened-incident/{case}"
    client.on("app-12", "sh", "-c", "echo 'trace' > /tmp/left-behind")
    desk.opened(case=case)
    desk.told()
    assert desk.verb(state="verify", case=case).returncode == 0
    listed = client.on("log-13", "sh", "-c", f"tar -xzOf {kept}/app-12/*.tar.gz MANIFEST.json")
    manifest = json.loads(listed)
    assert manifest["host"] == "app-12" and manifest["case"] == case
    assert {"processes.txt", "sockets.txt", "firewall.txt", "packages.txt", "journal.json"} <= set(
        manifest["parts"]
    )
    changed = client.on("log-13", "sh", "-c", f"tar -xzOf {kept}/app-12/*.tar.gz changed_files.jsonl")
    assert "/tmp/left-behind" in [json.loads(line)["path"] for line in changed.splitlines()]
    assert client.on("log-13", "sh", "-c", f"stat -c '%a %U' {kept}/app-12/*.tar.gz").split() == [
        "400",
        "root",
    ]
    client.on(
        "log-13", "sh", "-c", f"for it in {kept}/app-12/*.gz; do printf x >> $it; done; rm {kept}/app-13/*.gz"
    )
    said = desk.verb(state="verify", case=case)
    assert said.returncode != 0
    assert "is not what its host took" in said.stdout and "is missing" in said.stdout


def test_evidence_holds_no_secret(desk: Any) -> None:
    """What a process has in its environment, or a file below /etc has in it, is in no archive."""
    secret, case = f"hunter-{time.time():.0f}", f"secret-{time.time():.0f}"
    client = desk.client
    client.on(
        "app-13",
        "sh",
        "-c",
        f"echo {secret} > /etc/some-secret; SECRET={secret} setsid sleep 60 >/dev/null 2>&1 &",
    )
    try:
        path = json.loads(
            client.on("app-13", "hardened-incident", "evidence", f"--case={case}", "--since=1h")
        )["path"]
        assert client.on("app-13", "sh", "-c", f"tar -xzOf {path} | grep -c {secret}; true").strip() == "0"
        assert "some-secret" in client.on("app-13", "sh", "-c", f"tar -xzOf {path} changed_files.jsonl")
    finally:
        client.on("app-13", "rm", "/etc/some-secret")


@per_host
def test_a_damaged_record_can_be_ended(desk: Any, host: str) -> None:
    before = desk.look(host)
    desk.program(host, *OPEN)
    desk.client.on(host, "sh", "-c", "echo nonsense > /var/lib/hardened/incident.json")
    assert "is open until" in desk.refused(host, *OPEN)
    desk.program(host, "close")
    assert desk.left({host: before}) == {}

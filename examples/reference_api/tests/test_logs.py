# SPDX-License-Identifier: GPL-3.0-or-later
"""What reaches syslog, and what happens while there is none."""

from __future__ import annotations

import json
import re
import socket
import time
from datetime import UTC, datetime

from .conftest import PASSWORD, SECRETS, Api, StartApi, Syslog, migrate, wait_for

ALWAYS = {"time", "level", "logger", "event", "request_id", "client", "key_id", "release"}
AUTH_INFO, AUTH_WARNING, DAEMON_INFO, LOCAL0_INFO = 4 * 8 + 6, 4 * 8 + 4, 3 * 8 + 6, 16 * 8 + 6


def test_each_event_is_one_line_of_json_with_its_facility(api: Api, syslog: Syslog) -> None:
    with api.client(api.issue_key()) as client:
        request_id = client.get("/v1/items").headers["x-request-id"]
    api.http.get("/v1/items")
    api.http.get("/admin/keys")
    syslog.find("admin_authentication_failed")
    priorities = {
        "configuration_loaded": AUTH_INFO,
        "key_issued": AUTH_INFO,
        "key_used": AUTH_INFO,
        "key_rejected": AUTH_WARNING,
        "admin_authentication_failed": AUTH_WARNING,
        "request": LOCAL0_INFO,
    }
    syslog.find("request", request_id=request_id)
    assert {line["event"] for _priority, line in syslog.lines} == set(priorities)
    for priority, line in syslog.lines:
        assert priority == priorities[line["event"]]
        assert set(line) >= ALWAYS
        moment = datetime.fromisoformat(line["time"])
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
        assert line["release"] == "2026.01.1"
    (loaded,) = [line for _priority, line in syslog.lines if line["event"] == "configuration_loaded"]
    assert re.fullmatch(r"[0-9a-f]{64}", loaded["configuration"])


def test_no_secret_is_ever_logged(api: Api, syslog: Syslog) -> None:
    key = api.issue_key()
    token = api.http.post("/v1/session", headers={"X-API-Key": key}).json()["token"]
    api.http.cookies.clear()
    api.http.get("/v1/items", headers={"X-API-Key": f"{key}x"})
    api.http.get("/v1/items", headers={"Authorization": f"Bearer {token}"})
    api.http.get(f"/v1/items?after={SECRETS['SECRET_KEY']}", headers={"X-API-Key": key})
    last = api.http.get("/v1/items", headers={"Authorization": f"Bearer {SECRETS['ADMIN_API_KEY']}"})
    syslog.find("request", request_id=last.headers["x-request-id"])
    logged = json.dumps(syslog.lines) + api.stderr.read_text()
    for secret in (*SECRETS.values(), PASSWORD, key.split(".")[1], token):
        assert secret not in logged


def test_a_log_line_cannot_be_forged_through_a_path(api: Api, syslog: Syslog) -> None:
    path = '/x%0a{"event":"key_revoked"}%00'
    response = api.http.get(path)
    line = syslog.find("request", request_id=response.headers["x-request-id"])
    assert line["path"] == '/x\n{"event":"key_revoked"}\0'


def test_it_goes_on_while_syslog_is_away_and_finds_it_again(api: Api, syslog: Syslog) -> None:
    syslog.close()
    started = time.monotonic()
    away = [api.http.get("/version").headers["x-request-id"] for _request in range(20)]
    assert time.monotonic() - started < 5

    def kept() -> list[str]:
        return [json.loads(line)["request_id"] for line in api.stderr.read_text().splitlines()]

    wait_for(lambda: len(kept()) == len(away), "the lines on stderr")
    assert kept() == away
    syslog.open()
    back = api.http.get("/version").headers["x-request-id"]
    syslog.find("request", request_id=back)
    assert kept() == away


def test_a_burst_waits_for_a_slow_syslog_but_no_request_does(api: Api, syslog: Syslog) -> None:
    # The socket takes some ten datagrams until we read: the thread has to wait, the requests must not.
    before = api.stderr.read_text()
    sent = [api.http.get("/version").headers["x-request-id"] for _request in range(30)]
    syslog.find("request", request_id=sent[-1])
    arrived = [line["request_id"] for _priority, line in syslog.lines if line["request_id"] in set(sent)]
    assert arrived == sent
    assert api.stderr.read_text() == before


def test_a_syslog_that_hangs_blocks_nothing(
    environment: dict[str, str], start: StartApi, syslog: Syslog
) -> None:
    hanging = syslog.path.with_name("hanging")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as never_read:
        never_read.bind(str(hanging))
        api = start(environment | {"SYSLOG_ADDRESS": str(hanging)})
        started = time.monotonic()
        for _line in range(600):  # more than any default length of the socket's queue
            api.http.get("/version")
        assert time.monotonic() - started < 10
        stopping = time.monotonic()
        assert api.stop() == 0
        assert time.monotonic() - stopping < 8
    assert '"event": "request"' in api.stderr.read_text()  # nothing is lost: the runtime keeps stderr


def test_syslog_over_the_network(environment: dict[str, str], start: StartApi) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        start(environment | {"SYSLOG_ADDRESS": f"localhost:{daemon.getsockname()[1]}"})
        line = daemon.recv(65536).decode()
    assert line.startswith('<38>reference-api: {"time": ')


def test_without_syslog_lines_go_to_stderr(environment: dict[str, str], start: StartApi) -> None:
    api = start(environment)
    api.http.get("/version")
    api.stop()
    lines = [json.loads(line) for line in api.stderr.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["configuration_loaded", "request", "service_stopped"]


def test_an_unexpected_error_is_logged_and_not_shown(
    environment: dict[str, str], start: StartApi, syslog: Syslog
) -> None:
    # Without a schema the query fails in a way that no handler expects.
    api = start(environment | {"SYSLOG_ADDRESS": str(syslog.path)})
    response = api.http.get("/v1/items", headers={"X-API-Key": f"{'0' * 16}.{'a' * 43}"})
    assert response.status_code == 500
    assert response.json()["error"] == {
        "code": "internal_error",
        "message": "something went wrong here",
        "request_id": response.headers["x-request-id"],
    }
    line = syslog.find("unhandled_error", request_id=response.headers["x-request-id"])
    assert "UndefinedTable" in line["exception"]
    migrate(environment)

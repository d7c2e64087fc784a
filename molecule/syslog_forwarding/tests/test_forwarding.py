# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's messages on the collector, and what happens to them while there is no collector."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from loghosts import Hosts, wait_until, word  # type: ignore[import-not-found]

HOSTS = ["client-12", "client-13", "collector-12"]
SOCKET = "/run/hardened/log/dev-log"
SEND = """
import socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
    link.connect({path!r})
    link.send({message!r})
"""
# 90 MB, of which memory and disk of the queue take about half.
FLOOD = """
import socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
    link.connect({path!r})
    for number in range({count}):
        link.send(b"<13>flood: {token} " + b"x" * 30_000)
"""
FILE = "/var/log/nginx/access.jsonl"
# As nginx does: goes on writing to a file that was renamed until it has opened the next one.
WRITE = """
import os, time
os.makedirs(os.path.dirname({path!r}), exist_ok=True)
stream = open({path!r}, "a")
for number in range({count}):
    stream.write('{{"event": "request", "path": "{token} %d"}}\\n' % number)
    if {renamed} and number % 100 == 99:
        stream.flush()
        time.sleep(0.2)
    if {renamed} and number % ({renamed} or 1) == {renamed} - 1:
        os.rename({path!r}, {path!r} + ".1")
    if {renamed} and number > {renamed} and number % ({renamed} or 1) == {renamed} // 10:
        stream.close()
        stream = open({path!r}, "a")
stream.close()
"""
every_host = pytest.mark.parametrize("host", HOSTS)
every_client = pytest.mark.parametrize("host", HOSTS[:2])


@every_host
def test_message_arrives(hosts: Hosts, host: str) -> None:
    token = word()
    hosts.run(host, f"logger --id=4711 -t plain -p cron.warning 'Quoted \" and / {token}'")
    path, line = hosts.arrived(token)
    assert path == f"{host}/plain.jsonl"
    seen = {key: line[key] for key in ("host", "service", "pid", "facility", "severity", "source", "message")}
    assert seen == {
        "host": host,
        "service": "plain",
        "pid": "4711",
        "facility": "cron",
        "severity": "warning",
        "source": "host",
        "message": f'Quoted " and / {token}',
    }
    assert "data" not in line
    age = datetime.now(UTC) - datetime.fromisoformat(line["time"])
    assert -5 < age.total_seconds() < 20
    assert len(line["time"]) == len("2025-01-01T00:00:00.000000+00:00"), "not to the microsecond"


@every_host
def test_json_is_parsed(hosts: Hosts, host: str) -> None:
    token = word()
    said = {
        "request_id": token,
        "path": "/v1/items",
        "n": 1.5,
        "list": [1, None, True],
        "text": 'a "b" \\ \n é',
        "host": "forged",
    }
    hosts.run(host, "logger -t access -p local0.info", stdin=json.dumps(said, ensure_ascii=False))
    path, line = hosts.arrived(token)
    assert path == f"{host}/access.jsonl"
    assert line["data"] == said
    assert line["host"] == host
    assert "message" not in line


@every_client
@pytest.mark.parametrize("tag", ["reference-api: ", ""], ids=["named", "unnamed"])
def test_container_socket(hosts: Hosts, host: str, tag: str) -> None:
    token = word()
    # 4 * 8 + 5: facility auth, severity notice, as Python's SysLogHandler sends it.
    message = f'<37>{tag}{{"event": "admin_auth_failed", "request_id": "{token}"}}'.encode()
    hosts.python(host, SEND.format(path=SOCKET, message=message))
    path, line = hosts.arrived(token)
    service = tag.rstrip(": ") or "unnamed"
    assert path == f"{host}/{service}.jsonl"
    assert (line["facility"], line["severity"], line["source"]) == ("auth", "notice", "container")
    assert line["data"]["request_id"] == token


@every_client
def test_local_files(hosts: Hosts, host: str) -> None:
    token = word()
    hosts.run(host, f"logger -p auth.info {token}-auth; logger -p user.info {token}-user")
    wait_until(
        lambda: hosts.out(host, f"grep -c {token}-auth /var/log/auth.log || true") == "1",
        "auth.log lacks it",
    )
    wait_until(
        lambda: hosts.out(host, f"grep -c {token}-user /var/log/syslog || true") == "1", "syslog lacks it"
    )
    assert hosts.out(host, f"grep -c {token}-auth /var/log/syslog || true") == "0"
    assert hosts.out(host, "stat -c '%a %U %G' /var/log/auth.log") == "640 root adm"


@every_client
def test_strange_messages(hosts: Hosts, host: str) -> None:
    """Each stays one line of JSON under the host's own name."""
    token = word()
    strange = [
        b"<13>../../../../tmp/evil: %s-dots",
        b"<13>bad\xff\xfe: %s-utf8 \xff\xc3",
        b"<13>two: %s-lines\n<13>second: forged\x00\x1b[31m",
        b'<13>broken: {"request_id": "%s-broken", ',
        b'<13>forged: {"data": 1} %s-rest {"host": "other"}',
        b'<13>long: {"request_id": "%s-long", "text": "' + b'\\"' * 40_000 + b'"}',
    ]
    for message in strange:
        hosts.python(host, SEND.format(path=SOCKET, message=message.replace(b"%s", token.encode())))
    wait_until(
        lambda: (
            hosts.out("collector-12", f"grep -rhoE '{token}-[a-z0-9]+' /var/log/hardened | sort -u | wc -l")
            == str(len(strange))
        ),
        "lines lack",
    )
    files = hosts.out("collector-12", f"grep -rlF {token} /var/log/hardened").split()
    assert all(path.startswith(f"/var/log/hardened/{host}/") for path in files), files
    for ending in ("dots", "utf8", "lines", "broken", "rest", "long"):
        assert hosts.arrived(f"{token}-{ending}")[1]["host"] == host
    assert len(hosts.arrived(f"{token}-long")[1]["data"]["text"]) == 40_000
    assert hosts.run("collector-12", "ls /tmp/evil* /var/log/evil*", check=False).returncode != 0


@every_client
def test_socket_outlives_rsyslog(hosts: Hosts, host: str) -> None:
    """A container mounts the directory: neither it nor the socket may be replaced, and nothing sent meanwhile is lost."""
    inodes = f"stat -c %i {SOCKET} /run/hardened/log"
    before = hosts.out(host, inodes)
    token = word()
    hosts.run(host, "systemctl stop rsyslog.service")
    hosts.python(host, SEND.format(path=SOCKET, message=f"<13>meanwhile: {token}".encode()))
    hosts.run(host, "systemctl start rsyslog.service")
    assert hosts.out(host, inodes) == before
    assert hosts.out(host, "stat -c %a /run/hardened/log") == "755"
    hosts.arrived(token)


@every_client
def test_nothing_is_sent_in_clear(hosts: Hosts, host: str) -> None:
    """A connection of rsyslog to the collector exists, and nothing listens for plain syslog there."""
    hosts.run(host, "logger connect")
    wait_until(lambda: "rsyslogd" in hosts.out(host, "ss -Htnp dst :20514"), "no connection")
    assert "rsyslogd" not in hosts.out("collector-12", "ss -Hlunp; ss -Hltnp | grep -v :20514 || true")


def write(hosts: Hosts, host: str, token: str, count: int, renamed: int = 0) -> None:
    hosts.python(host, WRITE.format(path=FILE, token=token, count=count, renamed=renamed))


@every_client
def test_lines_of_a_file_arrive(hosts: Hosts, host: str) -> None:
    """Of an edge's access log: as JSON, under its own name, and in no other file of the host."""
    token = word()
    write(hosts, host, token, 1)
    path, line = hosts.arrived(token)
    assert path == f"{host}/nginx_access.jsonl"
    assert (line["facility"], line["severity"], line["source"]) == ("local7", "info", "host")
    assert line["data"] == {"event": "request", "path": f"{token} 0"}
    assert hosts.out(host, f"grep -c {token} /var/log/syslog || true") == "0"


@every_client
def test_a_renamed_file_loses_no_line(hosts: Hosts, host: str) -> None:
    token, count = word(), 4_000
    write(hosts, host, token, count, renamed=1_000)
    wait_until(lambda: len(hosts.numbers(token)) == count, "lines lack")
    assert hosts.out("collector-12", f"grep -rhF {token} /var/log/hardened | wc -l") == str(count)


@every_client
def test_lines_of_a_file_wait_for_rsyslog(hosts: Hosts, host: str) -> None:
    token, count = word(), 400
    write(hosts, host, f"{token} before", 200)
    hosts.run(host, "systemctl stop syslog.socket rsyslog.service")
    write(hosts, host, f"{token} meanwhile", count)
    hosts.run(host, "systemctl start syslog.socket rsyslog.service")
    wait_until(lambda: len(hosts.numbers(f"{token} before")) == 200, "lines of before lack")
    wait_until(lambda: len(hosts.numbers(f"{token} meanwhile")) == count, "lines of meanwhile lack")


class TestWithoutCollector:
    @pytest.fixture(autouse=True)
    def collector_returns(self, hosts: Hosts) -> object:
        yield
        hosts.run("collector-12", "systemctl start syslog.socket rsyslog.service")

    def outage(self, hosts: Hosts, host: str) -> None:
        hosts.run("collector-12", "systemctl stop syslog.socket rsyslog.service")
        # The first words after the collector's last go into a connection that is dead already.
        hosts.run(host, "for i in 1 2 3 4; do logger -t outage noticed; sleep 0.1; done")

    @every_client
    @pytest.mark.parametrize(
        "restart",
        ["systemctl restart rsyslog", "pkill -9 -x rsyslogd; sleep 1; systemctl start rsyslog.service"],
    )
    def test_messages_wait(self, hosts: Hosts, host: str, restart: str) -> None:
        token, count = word(), 400
        self.outage(hosts, host)
        began = time.monotonic()
        hosts.run(host, f"seq -f '{token} %.0f' {count} | logger -t waiting")
        wait_until(
            lambda: hosts.out(host, f"grep -c '{token} {count}$' /var/log/syslog || true") == "1",
            "local logging waits",
        )
        assert time.monotonic() - began < 10
        wait_until(lambda: hosts.out(host, "ls /var/spool/rsyslog"), "nothing is on disk")
        time.sleep(2)
        hosts.run(host, restart)
        hosts.run(host, f"logger -t waiting '{token} {count + 1}'")
        hosts.run("collector-12", "systemctl start syslog.socket rsyslog.service")
        # A kill takes the batch in hand with it: queue.dequeueBatchSize and queue.lowWatermark at most.
        tolerated = 12 if "-9" in restart else 0
        wait_until(lambda: len(hosts.numbers(token)) >= count + 1 - tolerated, "messages did not arrive")
        missing = set(range(1, count + 2)) - hosts.numbers(token)
        print(f"{host}: {restart}: lost {sorted(missing)}")

    def test_full_queue_does_not_block(self, hosts: Hosts) -> None:
        """On the host with a small queue: local logging goes on at its own pace, and forwarding resumes afterwards."""
        host, token, count = "client-13", word(), 3000
        self.outage(hosts, host)
        hosts.python(host, FLOOD.format(path=SOCKET, token=token, count=count))
        wait_until(
            lambda: hosts.out(host, f"grep -c {token} /var/log/syslog") == str(count),
            "local logging waits",
        )
        after = word()
        hosts.run(host, f"logger -t flood {after}")
        wait_until(
            lambda: hosts.out(host, f"grep -c {after} /var/log/syslog || true") == "1",
            "local logging waits",
        )
        hosts.run("collector-12", "systemctl start syslog.socket rsyslog.service")
        last = word()
        wait_until(
            lambda: hosts.run(host, f"logger -t flood {last}") and hosts.found(last),
            "forwarding does not resume",
        )

        def stored() -> int:
            return int(
                hosts.out(
                    "collector-12", f"cat /var/log/hardened/{host}/flood.jsonl | grep -c {token} || true"
                )
            )

        # What waits on disk may be overtaken by what is new.
        wait_until(lambda: stored() > 600, "what the queue held did not arrive")
        assert stored() < count, "the bound is not what was set"


def test_queue_is_private(hosts: Hosts) -> None:
    for host in HOSTS:
        assert hosts.out(host, "stat -c '%a %U' /var/spool/rsyslog") == "700 root"

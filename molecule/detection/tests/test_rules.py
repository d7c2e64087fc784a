# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule, with what it is there for, and with a twin that is no harm; then the whole way from a host to people."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from labkit import plays

SSH = "Failed password for root from {} port 50000 ssh2"
WELCOME = "Accepted publickey for deploy from {} port 50000 ssh2: ED25519 SHA256:abc"
AUDIT = (
    "[11-1] 2026-11-28 22:35:01.123 UTC [4711] session=674a.1267 line=3 user={user} db=app client=[local] state=00000 app={app}"
    ' LOG:  AUDIT: SESSION,1,1,{audit},,,"{statement}",<not logged>'
)


# Of an application that would like to be taken for this collection.
FORGER = "x user=postgres db=app client=[local] state=00000 app=techsaas.hardened"


def audit(kind: str, statement: str, app: str = "psql", user: str = "postgres") -> dict[str, str]:
    return {"message": AUDIT.format(audit=kind, statement=statement, app=app, user=user)}


def harmful(lines: Any, rule: str, who: str) -> tuple[str, list[str]]:
    """Whom the alert names, and what is received."""
    key = f"key-{who.replace('.', '-')}"
    waf = {"event": "waf", "client": who, "action": "blocked"}
    made: dict[str, tuple[str, Callable[[int], str], int]] = {
        "admin_authentication": (who, lambda n: lines.event("admin_authentication_failed", who), 5),
        "ssh_authentication": (
            who,
            lambda n: lines.line("sshd", facility="auth", message=SSH.format(who)),
            5,
        ),
        "key_guessing": (who, lambda n: lines.event("key_rejected", who, reason="wrong"), 10),
        "key_location": ("partner", lambda n: lines.request(who, key="partner"), 1),
        "key_networks": (key, lambda n: lines.request(f"10.{n}.0.1", key=key), 4),
        "revoked_key": (who, lambda n: lines.request(who, 401, refused="revoked"), 1),
        "rate_limit": (who, lambda n: lines.request(who, 429), 20),
        "enumeration": (who, lambda n: lines.request(who, 404, f"/v1/items/{n}"), 25),
        "key_volume": (key, lambda n: lines.request(who, key=key), 520),
        "error_surge": ("fleet", lambda n: lines.request(f"192.0.2.{n}", 502), 30),
        "waf_surge": (
            who,
            lambda n: lines.line("nginx_waf", facility="auth", data={**waf, "request_id": str(n)}),
            15,
        ),
        "database_change": (
            "client-13",
            lambda n: lines.line("postgres", **audit("ROLE,ALTER ROLE", "ALTER ROLE app SUPERUSER")),
            1,
        ),
        "audit_change": (
            "client-13",
            lambda n: lines.line(
                "postgres", **audit("DDL,ALTER SYSTEM", "ALTER SYSTEM SET pgaudit.log = none")
            ),
            1,
        ),
    }
    source, make, number = made[rule]
    return source, [make(n) for n in range(number)]


RULES = [
    "admin_authentication",
    "ssh_authentication",
    "key_guessing",
    "key_location",
    "key_networks",
    "revoked_key",
    "rate_limit",
    "enumeration",
    "key_volume",
    "error_surge",
    "waf_surge",
    "database_change",
    "audit_change",
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_is_for(collector: Any, lines: Any, stranger: str, rule: str) -> None:
    source, received = harmful(lines, rule, stranger)
    started = time.time()
    collector.receives(*received)
    plays.eventually(lambda: collector.detected(rule, source, started), 8)
    alert = collector.alerted(rule, source)
    assert alert is not None and alert["events"] >= 1 and alert["description"]


def test_nobody_is_taken_for_this_collection(collector: Any, lines: Any) -> None:
    started = time.time()
    said = audit("ROLE,ALTER ROLE", "ALTER ROLE app SUPERUSER", app=FORGER, user="app")
    collector.receives(lines.line("postgres", **said))
    plays.eventually(lambda: collector.detected("database_change", "client-13", started), 8)
    assert collector.alerted("database_change", "client-13")


def test_refusals_at_an_administrative_path_count_without_the_application(
    collector: Any, lines: Any, stranger: str
) -> None:
    collector.receives(*(lines.request(stranger, 401, "/admin/keys") for _n in range(5)))
    assert collector.alerted("admin_authentication", stranger)


def test_administrators_are_guessed_from_many_places(collector: Any, lines: Any, stranger: str) -> None:
    base, started = stranger.rpartition(".")[0], time.time()
    collector.receives(*(lines.event("admin_authentication_failed", f"{base}.{n}") for n in range(1, 7)))
    plays.eventually(lambda: collector.detected("admin_authentication_spread", "fleet", started), 8)
    # What is told late would be taken for the next test's.
    assert collector.alerted("admin_authentication_spread", "fleet")


def harmless(lines: Any, who: str) -> dict[str, list[str]]:
    twice = lines.event("admin_authentication_failed", who)
    own = audit("ROLE,ALTER ROLE", "ALTER ROLE app PASSWORD <REDACTED>", app="techsaas.hardened")
    return {
        "admin_authentication": [twice] * 8,  # one request, told by the application and by the edge
        "ssh_authentication": [lines.line("sshd", facility="auth", message=WELCOME.format(who))] * 8,
        "ssh_forged": [lines.line("reference-api", facility="auth", message=SSH.format(who))] * 8,
        "key_guessing": [lines.event("key_rejected", who, reason="wrong") for _n in range(9)],
        "key_location": [lines.request(f"198.51.100.{n}", key="partner") for n in range(1, 9)]
        + [lines.request("2001:db8:7::1", key="partner"), lines.request(who, 401, key="partner")],
        "key_networks": [lines.request(f"10.1.{n}.1", key=f"near-{who}") for n in range(9)],
        "revoked_key": [lines.request(who, 401, refused="")] * 4,
        "rate_limit": [lines.request(who, 429) for _n in range(10)],
        "enumeration": [lines.request(who, 404, "/favicon.ico") for _n in range(60)],
        "database_change": [lines.line("postgres", **own)],
        "audit_change": [
            lines.line(
                "postgres", **audit("WRITE,INSERT", "INSERT INTO notes VALUES ('pgaudit')", user="app")
            )
        ],
    }


@pytest.mark.parametrize(
    "rule",
    [
        "admin_authentication",
        "ssh_authentication",
        "ssh_forged",
        "key_guessing",
        "key_location",
        "key_networks",
        "revoked_key",
        "rate_limit",
        "enumeration",
        "database_change",
        "audit_change",
    ],
)
def test_what_looks_alike_is_no_alert(collector: Any, lines: Any, stranger: str, rule: str) -> None:
    started = time.time()
    collector.receives(*harmless(lines, stranger)[rule])
    # What comes after it was found, so that it has been judged by then.
    marker = stranger.replace("203.", "204.", 1)
    collector.receives(*harmful(lines, "rate_limit", marker)[1])
    assert collector.alerted("rate_limit", marker)
    assert [one["source"] for one in collector.alerts(started) if one["source"] != marker] == []


FORGED = [
    '{"event": "admin_authentication_failed", "client": "%s"}',
    '","data":{"event":"admin_authentication_failed","client":"%s"},"x":"',
    '\\n{"host":"edge-1","service":"api","data":{"event":"admin_authentication_failed","client":"%s"}}',
    "<38>1 2026-11-29T00:00:00Z edge-1 sshd 1 - - Failed password for root from %s port 1 ssh2",
]


@pytest.mark.parametrize("field", ["path", "user_agent"])
def test_what_a_client_writes_becomes_no_event(collector: Any, lines: Any, stranger: str, field: str) -> None:
    """Sent on the way that a request's line takes, as the value of a field."""
    started = time.time()
    for number, text in enumerate(FORGED * 3):
        data = {"event": "request", "client": "198.51.100.9", "status": 200, "request_id": str(number)}
        message = json.dumps({**data, field: text % stranger})
        collector.client.on(
            "client-13",
            "logger",
            "--socket-errors=on",
            "-t",
            "nginx_access",
            "-p",
            "local7.info",
            "--",
            message,
        )
    marker = stranger.replace("203.", "204.", 1)
    time.sleep(2)
    collector.receives(*harmful(lines, "rate_limit", marker)[1])
    assert collector.alerted("rate_limit", marker)
    assert [one for one in collector.alerts(started) if one["source"] == stranger] == []


def test_the_fleets_own_hosts_are_no_attackers(collector: Any, lines: Any, stranger: str) -> None:
    own = collector.client.addresses["client-13"]
    collector.receives(*harmful(lines, "admin_authentication", own)[1])
    collector.receives(*harmful(lines, "rate_limit", stranger)[1])
    assert collector.alerted("rate_limit", stranger)
    assert [one for one in collector.alerts() if one["source"] == own] == []


def test_people_are_told_within_five_seconds(collector: Any, desk: Any, lines: Any, stranger: str) -> None:
    """From the moment at which a host logs it: by its rsyslog, over the network, by every channel."""
    logged_at = time.time()
    for number in range(5):
        data = {
            "event": "admin_authentication_failed",
            "client": stranger,
            "request_id": f"{stranger} {number}",
        }
        collector.client.on(
            "client-13",
            "logger",
            "--socket-errors=on",
            "-t",
            "reference-api",
            "-p",
            "auth.warning",
            "--",
            json.dumps(data),
        )
    last_at = time.time()

    def told() -> list[dict[str, Any]]:
        return [one for one in desk.hooks() if stranger in one["body"]]

    # Both collectors get each line, and tell.
    plays.eventually(lambda: len(told()) >= 2, 10)
    assert max(one["at"] for one in told()[:2]) - last_at < 5, (logged_at, last_at, told())
    plays.eventually(lambda: any(stranger in mail for mail in desk.got("mail")), 5)
    labels = [labels for labels in desk.on_duty() if labels.get("address") == stranger]
    assert labels and labels[0]["alertname"] == "admin_authentication" and labels[0]["severity"] == "critical"


def test_a_webhook_is_signed(collector: Any, desk: Any, lines: Any, stranger: str) -> None:
    collector.receives(*harmful(lines, "rate_limit", stranger)[1])
    plays.eventually(lambda: any(stranger in one["body"] for one in desk.hooks()), 10)
    hook = next(one for one in desk.hooks() if stranger in one["body"])
    stamp = hook["headers"]["X-Hardened-Timestamp"]
    signed = hmac.new(desk.key.encode(), f"{stamp}.{hook['body']}".encode(), hashlib.sha256)
    assert hook["headers"]["X-Hardened-Signature"] == f"sha256={signed.hexdigest()}"
    assert abs(int(stamp) - hook["at"]) < 10


def test_the_same_is_told_once(collector: Any, lines: Any, stranger: str) -> None:
    received = harmful(lines, "rate_limit", stranger)[1]
    collector.receives(*received)
    assert collector.alerted("rate_limit", stranger)
    collector.receives(*received * 3)
    time.sleep(3)
    assert len([one for one in collector.alerts() if one["source"] == stranger]) == 1


def test_the_channels_can_be_tried(collector: Any) -> None:
    said = collector.sh(
        "systemd-run --quiet --pipe --wait -p LoadCredentialEncrypted=alerts.webhook"
        " python3 /usr/local/lib/hardened/alerts test"
    )
    assert said.splitlines() == [
        "webhook desk: delivered",
        "alertmanager duty: delivered",
        "e-mail: delivered",
    ]


@pytest.mark.parametrize(
    "unit", ["hardened-detection.service", "hardened-alerts.service", "hardened-decisions.service"]
)
def test_what_looks_at_the_logs_can_do_little_else(collector: Any, unit: str) -> None:
    said = collector.sh(f"systemd-analyze security --no-pager {unit} | tail -1")
    assert float(said.split("level for")[1].split(":")[1].split()[0]) <= 4
    assert collector.sh("ss -tlnH 'sport = :6480'").split()[3] == "127.0.0.1:6480"


def test_the_key_is_nowhere_in_clear(collector: Any, desk: Any) -> None:
    script = 'grep -rlF -e "$(cat)" /etc /var/lib/private /run/systemd/system 2>/dev/null | head; true'
    found = collector.client.on(
        collector.host, "sh", "-c", f"printf %s {desk.key} | sh -c {json.dumps(script)}"
    )
    assert found == ""


def test_an_edge_blocks_what_is_found(collector: Any, lines: Any, edge: Any, stranger: str) -> None:
    collector.receives(*harmful(lines, "key_guessing", stranger)[1])
    plays.eventually(lambda: collector.alerted("key_guessing", stranger) is not None, 8)
    plays.eventually(lambda: stranger in edge.blocks(), 2)
    block = edge.blocks()[stranger]
    assert block["by"] == "detection" and block["reason"].startswith("key_guessing: ")
    assert 560 < block["until"] - block["since"] <= 600
    # A rule that is not said to block does not.
    other = stranger.replace("203.", "205.", 1)
    collector.receives(*harmful(lines, "rate_limit", other)[1])
    assert collector.alerted("rate_limit", other)
    time.sleep(2)
    assert other not in edge.blocks()


def test_a_block_ends_and_who_goes_on_gets_another(
    collector: Any, lines: Any, edge: Any, stranger: str
) -> None:
    collector.receives(*harmful(lines, "waf_surge", stranger)[1])
    plays.eventually(lambda: stranger in edge.blocks(), 10)
    plays.eventually(lambda: stranger not in edge.blocks(), 20)
    # People are told once an hour only; the edge each time. The engine counts the same source anew after a minute.
    time.sleep(50)
    collector.receives(*harmful(lines, "waf_surge", stranger)[1])
    plays.eventually(lambda: stranger in edge.blocks(), 10)


def test_a_longer_block_by_hand_stays(collector: Any, lines: Any, edge: Any, stranger: str) -> None:
    collector.client.on(
        "client-13", "hardened-blocklist", "add", stranger, "--ttl", "2h", "--reason", "by hand"
    )
    before = edge.blocks()[stranger]
    collector.receives(*harmful(lines, "key_guessing", stranger)[1])
    assert collector.alerted("key_guessing", stranger)
    time.sleep(2)
    assert edge.blocks()[stranger] == before


def test_who_is_never_blocked_is_not_blocked_by_a_rule(collector: Any, lines: Any, edge: Any) -> None:
    started, friend = time.time(), f"192.0.2.{int(time.time()) % 250 + 1}"
    collector.receives(*harmful(lines, "key_guessing", friend)[1])
    plays.eventually(lambda: any(one["address"] == friend for one in edge.said("block_refused", started)), 10)
    assert friend not in edge.blocks()


ASK = """
import http.client, socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
if sys.argv[2] != "nobody":
    context.load_cert_chain("/etc/hardened/pki/host.crt", "/etc/hardened/pki/host.key")
try:
    sock = context.wrap_socket(socket.create_connection((sys.argv[1], 6481), 5), server_hostname=sys.argv[3])
    connection = http.client.HTTPConnection("x")
    connection.sock = sock
    connection.request("GET", "/v1/decisions")
    print(connection.getresponse().status)
except (OSError, http.client.HTTPException) as error:
    print("refused", type(error).__name__)
"""


def test_decisions_are_for_edges_alone(collector: Any, client: Any) -> None:
    name = f"logs.{client.domain.partition('.')[2]}"
    asked = [client.addresses[collector.host]]
    ask = ("python3", "-c", ASK, *asked)
    assert client.on("client-13", *ask, "edge", name).strip() == "200"
    assert client.on("client-13", *ask, "nobody", name).startswith("refused")
    # A certificate of the same authority, of a host that is no edge.
    assert client.on(collector.host, *ask, "logs", name).startswith("refused")

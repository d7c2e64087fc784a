# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may send to a collector, and where it files what it gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from loghosts import STORE, Hosts, relp, wait_until, word  # type: ignore[import-not-found]

CLIENT = "client-13"
PRIMARY, SECOND = "collector-12", "collector-13"
every_collector = pytest.mark.parametrize("collector", [PRIMARY, SECOND])


def frame(text: str, *, host: str = CLIENT, service: str = "test") -> bytes:
    return f"<38>1 2025-01-01T00:00:00.000001+00:00 {host} {service} - - - {text}".encode()


def stored(hosts: Hosts, token: str, collector: str) -> list[str]:
    """The files of the whole collector that hold the word, wherever they are."""
    places = "/var /etc /tmp /root /opt /srv"
    found: str = hosts.run(collector, f"grep -rlF --exclude-dir=journal {token} {places}", check=False).stdout
    return found.split()


@every_collector
def test_host_certificate_is_accepted(hosts: Hosts, collector: str) -> None:
    token = word()
    assert relp(hosts, CLIENT, frame(f'{{"message": "{token}"}}'), collector=collector) == "accepted"
    path, line = hosts.arrived(token, collector)
    assert path == f"{CLIENT}/test.jsonl"
    assert line["message"] == token
    assert hosts.out(
        collector, f"stat -c '%a %U %G' {STORE} {STORE}/{CLIENT} {STORE}/{path}"
    ).splitlines() == [
        "750 root adm",
        "750 root adm",
        "640 root adm",
    ]


@pytest.fixture(scope="module")
def other_authority(hosts: Hosts) -> str:
    """A certificate with the right name by an authority that nobody knows."""
    base = "/root/other"
    hosts.run(
        CLIENT,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=app.lab.internal"
        f" -addext subjectAltName=DNS:app.lab.internal -keyout {base}.key -out {base}.crt",
    )
    return base


@every_collector
def test_others_are_refused(hosts: Hosts, collector: str, other_authority: str) -> None:
    token = word()
    message = frame(f'{{"message": "{token}"}}')
    assert relp(hosts, CLIENT, message, collector=collector, tls=False) == "refused", "without TLS"
    assert relp(hosts, CLIENT, message, collector=collector, certificate="") == "refused", (
        "without a certificate"
    )
    assert relp(hosts, CLIENT, message, collector=collector, certificate=other_authority) == "refused", (
        "another authority"
    )
    stranger = "/etc/hardened/pki/stranger"
    assert relp(hosts, CLIENT, message, collector=collector, certificate=stranger) == "refused", (
        "another name"
    )
    assert stored(hosts, token, collector) == []


@every_collector
@pytest.mark.parametrize(
    ("host", "service"),
    [
        (CLIENT, "../../../../etc/cron.d/x"),
        ("../../../../tmp", "x"),
        ("/etc", "/etc/passwd"),
        (PRIMARY, "sshd"),
        ("..", ".."),
        (".", "a\\b;c$(id)"),
        ("-", "x" * 200),
    ],
)
def test_names_cannot_escape(hosts: Hosts, collector: str, host: str, service: str) -> None:
    """Whatever a sender claims to be, it writes below its own directory."""
    token = word()
    for text in (
        f'{{"message": "{token}", "host": "forged"}}',
        f"no JSON {token} \n<13>1 - {PRIMARY} sshd - - - forged",
    ):
        assert relp(hosts, CLIENT, frame(text, host=host, service=service), collector=collector) == "accepted"
    wait_until(lambda: stored(hosts, token, collector), "nothing is stored")
    assert all(path.startswith(f"{STORE}/{CLIENT}/") for path in stored(hosts, token, collector))
    assert all(line["host"] == CLIENT for line in hosts.found(token, collector).values())


@every_collector
def test_both_lines_are_json(hosts: Hosts, collector: str) -> None:
    """What is no JSON, no UTF-8 or cut off becomes the text of a line that is."""
    token = word()
    for number, text in enumerate(
        [b"plain %s", b'{"cut": "%s', b"bad \xff\xfe %s", b"nul \x00 %s", b'{"data": {"x": "\xff %s"}}']
    ):
        message = frame("", service=f"odd{number}") + text.replace(b"%s", token.encode())
        assert relp(hosts, CLIENT, message, collector=collector) == "accepted"
    lines = wait_until(
        lambda: len(found) == 5 and found if (found := hosts.found(token, collector)) else None,
        "lines lack",
    )
    assert set(lines) == {f"{CLIENT}/odd{number}.jsonl" for number in range(5)}
    assert all(line["received"] for line in lines.values())


def test_listens_on_one_address_only(hosts: Hosts) -> None:
    for collector in hosts.collectors:
        listening = hosts.out(collector, "ss -Hltn 'sport = :20514'").split()
        assert f"{hosts.addresses[collector]}:20514" in listening
        assert not {"*:20514", "0.0.0.0:20514", "[::]:20514"} & set(listening)


@every_collector
def test_rotation(hosts: Hosts, collector: str) -> None:
    """A rotated file is left alone, and what comes next is in a new one."""
    first, second = word(), word()
    relp(hosts, CLIENT, frame(f'{{"message": "{first}"}}', service="rotated"), collector=collector)
    hosts.arrived(first, collector)
    hosts.run(collector, "logrotate --force /etc/logrotate.d/hardened-collector")
    wait_until(
        lambda: (
            hosts.run(collector, f"grep -qF {first} {STORE}/{CLIENT}/rotated.jsonl", check=False).returncode
        ),
        "same file",
    )
    relp(hosts, CLIENT, frame(f'{{"message": "{second}"}}', service="rotated"), collector=collector)
    path, _line = hosts.arrived(second, collector)
    assert path == f"{CLIENT}/rotated.jsonl"
    assert first in hosts.out(collector, f"zcat -f {STORE}/{CLIENT}/rotated.jsonl-*")
    assert hosts.out(collector, f"stat -c '%a %U %G' {STORE}/{path}") == "640 root adm"


@every_collector
@pytest.mark.parametrize("host", [CLIENT, PRIMARY, SECOND])
def test_every_collector_gets_all(hosts: Hosts, host: str, collector: str) -> None:
    """From the other collector too, so that what happened on one can be read on another."""
    token = word()
    hosts.run(host, f"logger {token}")
    path, _line = hosts.arrived(token, collector)
    assert path.startswith(f"{host}/")


BURSTS = """
import syslog, time
for burst in range(160):
    for number in range(20):
        syslog.syslog("{token} %d" % (burst * 20 + number))
    time.sleep(0.05)
"""


def test_sessions_hold_under_bursts(hosts: Hosts) -> None:
    """Nobody loses a connection to another's traffic. With OpenSSL librelp breaks about three of them a second here."""
    senders = (CLIENT, PRIMARY, SECOND)
    tokens = {host: word() for host in senders}

    def connections() -> dict[str, list[str]]:
        lines = {
            host: hosts.out(host, "ss -Htn state established dport = :20514").splitlines() for host in senders
        }
        return {host: sorted(line.split()[2] for line in found) for host, found in lines.items()}

    for host in senders:
        hosts.run(host, "logger begin")
    wait_until(lambda: all(len(found) == 2 for found in connections().values()), "not all are connected")
    before = connections()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: hosts.python(host, BURSTS.format(token=tokens[host])), senders))
    for host, token in tokens.items():
        for collector in (PRIMARY, SECOND):
            wait_until(
                lambda token=token, collector=collector: len(hosts.numbers(token, collector)) == 3200,
                f"messages of {host} lack on {collector}",
            )
    assert connections() == before


def test_one_collector_away(hosts: Hosts) -> None:
    """The others go on at once, and the one that was away gets all that it missed."""
    token, count = word(), 200
    send = f"for n in $(seq {{}} {{}}); do logger -t away '{token} '$n; sleep 0.02; done"
    try:
        hosts.run(CLIENT, send.format(1, 100))
        hosts.run(PRIMARY, "systemctl stop syslog.socket rsyslog.service")
        hosts.run(CLIENT, send.format(101, 200))
        wait_until(lambda: len(hosts.numbers(token, SECOND)) == count, "the other collector lacks messages")
    finally:
        hosts.run(PRIMARY, "systemctl start syslog.socket rsyslog.service")
    wait_until(
        lambda: len(hosts.numbers(token, PRIMARY)) == count, "the collector that was away lacks messages"
    )

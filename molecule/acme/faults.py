# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario, in this order: renewals, and everything that may keep one from succeeding."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from labkit.podman import podman

from molecule.acme.conftest import Edge, root_of

if TYPE_CHECKING:
    from labkit.client import Client

CONVERGE = "../molecule/acme/converge.yml"
WEIGHTS = "../molecule/reverse_proxy/weights.yml"
HOOK_TOKEN = secrets.token_urlsafe(24)
# Stands for an authority that issues for whatever name it likes: lego's place is taken for the length of a test.
OTHER_NAME = """#!/bin/sh
set -eu
while [ "$1" != run ]; do case $1 in --path) path=$2;; --csr) csr=$2;; esac; shift; done
cd "$path"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=other -days 9
printf 'subjectAltName=DNS:other.example\\n' > ext
openssl x509 -req -in "$csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out leaf.crt
mkdir -p certificates
cat leaf.crt ca.crt > certificates/api.crt
rm -f leaf.crt ca.* ext
"""


def converge(client: Client, code: int = 0, **variables: Any) -> subprocess.CompletedProcess[str]:
    extra = ["-e", json.dumps(variables)] if variables else []
    done = client.playbook(CONVERGE, "--diff", *extra)
    assert (done.returncode == 0) == (code == 0), done.stdout[-4000:]
    return done


def changed(done: subprocess.CompletedProcess[str]) -> list[int]:
    return [int(number) for number in re.findall(r": ok=\d+\s+changed=(\d+)", done.stdout)]


@pytest.fixture(scope="module", autouse=True)
def released(client: Client) -> None:
    done = client.playbook(WEIGHTS, "-e", "weights=0")
    assert done.returncode == 0, done.stdout


@pytest.fixture(params=["edge-12", "edge-13"])
def edge(request: pytest.FixtureRequest, client: Client) -> Edge:
    """Made for each test, not once, so that the tests keep their order."""
    return Edge(request.param, client)


@pytest.fixture
def no_authority(client: Client) -> Iterator[None]:
    client.on("outside", "systemctl", "stop", "pebble.service")
    yield
    client.on("outside", "systemctl", "start", "pebble.service")


class Load:
    """Requests on connections that are kept, from clients that do as RFC 9112 says with one that was closed meanwhile."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.answered = self.reopened = 0
        self.lost: list[str] = []
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _number in range(6)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_details: object) -> None:
        time.sleep(1)
        self.end.set()
        for thread in self.threads:
            thread.join()

    def _open(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self.edge.client.domain, timeout=20, context=self.context)
        address = self.edge.address
        connection._create_connection = lambda *_a, **_k: socket.create_connection((address, 443), 20)  # type: ignore[attr-defined]
        return connection

    def _run(self) -> None:
        connection, used = self._open(), False
        while not self.end.is_set():
            try:
                connection.request("GET", "/v1/items")
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200 and b'"slot":"blue"' in body, (answer.status, body[:200])
                self.answered += 1
                used = answer.getheader("Connection") != "close"
            except Exception as error:
                connection.close()
                connection = self._open()
                if used and isinstance(
                    error, (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)
                ):
                    self.reopened += 1
                else:
                    self.lost.append(repr(error))
                used = False
            time.sleep(0.01)


def test_a_renewal_under_load_loses_no_request(edge: Edge, root: str) -> None:
    before = edge.served()
    with Load(edge) as load:
        assert edge.start("forced")
    print(
        f"{edge.name}: {load.answered} requests answered, {load.reopened} idle connections closed by the reload, lost {load.lost}"
    )
    assert load.lost == []
    assert load.answered > 200
    after = edge.served()
    assert after != before
    assert edge.trusted(root)
    # Nothing of the one before is left, its key least of all.
    assert [line.split()[0] for line in edge.installed()] == [
        f"{after[:16]}.crt",
        f"{after[:16]}.key",
        "site.conf",
    ]


def test_a_run_of_the_role_leaves_it_alone(client: Client, edge: Edge) -> None:
    before = edge.served()
    assert changed(converge(client)) == [0, 0]
    assert converge(client, reverse_proxy_rate_limit=21)
    assert edge.served() == before
    converge(client)
    assert edge.served() == before


def test_without_the_authority_the_old_one_serves_on(edge: Edge, no_authority: None) -> None:
    before = edge.served()
    assert not edge.start("forced")
    assert edge.served() == before
    told = edge.lines()[-1]
    assert (told["action"], told["cause"], told["serving"]) == ("renewal_failed", "unreachable", "acme")
    assert told["days_left"] in (89, 90)
    assert told["failures"] == 1
    # A second one in a row, and then the timer's own look waits.
    assert not edge.start("forced")
    assert edge.lines()[-1]["failures"] == 2
    count = len(edge.lines())
    assert edge.start("scheduled")
    assert len(edge.lines()) == count


def test_an_authority_that_has_forgotten_the_account_is_told_anew(edge: Edge, root: str) -> None:
    """Its restart has made it forget everything."""
    before = edge.served()
    assert edge.start("forced"), edge.sh("journalctl -u hardened-acme-order -n 20 --no-pager")
    assert edge.served() != before
    assert edge.trusted(root)
    assert edge.state()["failures"] == 0


def test_one_for_another_name_is_not_installed(edge: Edge) -> None:
    before, files = edge.served(), edge.installed()
    edge.sh(
        f"mv /usr/bin/lego /usr/bin/lego.away; cat > /usr/bin/lego <<'EOF'\n{OTHER_NAME}\nEOF\nchmod 755 /usr/bin/lego"
    )
    try:
        assert not edge.start("forced")
    finally:
        edge.sh("mv /usr/bin/lego.away /usr/bin/lego")
    assert edge.lines()[-1]["cause"] == "certificate_name", edge.state()
    assert (edge.served(), edge.installed()) == (before, files)


def test_one_that_nginx_refuses_is_not_installed_and_tried_again(edge: Edge) -> None:
    before, files = edge.served(), edge.installed()
    edge.sh("echo 'no_such_directive on;' > /etc/nginx/conf.d/zz.conf")
    try:
        assert not edge.start("forced")
    finally:
        edge.sh("rm /etc/nginx/conf.d/zz.conf")
    assert edge.lines()[-1]["cause"] == "nginx_refused"
    assert "no_such_directive" in edge.state()["words"]
    assert (edge.served(), edge.installed()) == (before, files)
    # The certificate was good: it is not asked for a second time.
    waiting = edge.sh("openssl x509 -in /var/lib/hardened-acme/certificate.pem -noout -fingerprint -sha256")
    assert edge.start("now")
    assert edge.served() == waiting.split("=")[1].replace(":", "").strip().lower()


KEY, ISSUED = "/var/lib/hardened/edge/acme/pending.key", "/var/lib/hardened-acme/certificate.pem"
JOURNAL = "/var/lib/hardened/config_set/reverse_proxy-certificate/journal.json"


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([f"[ -e {KEY} ]"], id="while it asks"),
        pytest.param([f"[ -e {KEY} ]", f"[ ! -e {ISSUED} ]", f"[ -e {ISSUED} ]"], id="when it has got it"),
        pytest.param([f"[ -e {JOURNAL} ]"], id="while it swaps it in"),
        pytest.param([f"grep -q swapped {JOURNAL} 2>/dev/null"], id="while nginx takes it over"),
    ],
)
def test_a_killed_run_is_picked_up(client: Client, moments: list[str]) -> None:
    edge = Edge("edge-13", client)
    before = edge.served()
    waits = "".join(f"until {moment}; do :; done; " for moment in moments)
    unit = "hardened-acme@forced.service"
    edge.sh(
        f"systemctl start --no-block {unit}; pid=0; "
        f"until [ $pid != 0 ]; do pid=$(systemctl show --property MainPID --value {unit}); done; "
        f"export pid; timeout 90 sh -c '{waits} kill -KILL $pid'"
    )
    serving = edge.served()
    assert edge.sh("nginx -t -q && echo fine").strip() == "fine"
    journal = edge.sh(f"cat {JOURNAL} 2>/dev/null || true")
    phase = json.loads(journal)["phase"] if journal else "none"
    print(f"killed: journal {phase}, {'the old' if serving == before else 'the new'} certificate serves")
    # The timer's next look takes it up.
    assert edge.start("scheduled"), edge.state()
    last = edge.served()
    assert [line.split()[0] for line in edge.installed()] == [
        f"{last[:16]}.crt",
        f"{last[:16]}.key",
        "site.conf",
    ]
    if ISSUED in "".join(moments) or JOURNAL in "".join(moments):
        assert last != before
        assert edge.lines()[-1]["reason"] == "an earlier run was not finished"


def test_dns_by_a_hook(client: Client, edge: Edge, root: str) -> None:
    before = edge.served()
    variables: dict[str, Any] = {
        "reverse_proxy_acme_challenge": "dns-01",
        "reverse_proxy_acme_dns_provider": "exec",
        "reverse_proxy_acme_dns_hook": str(Path(__file__).parent / "files/dns-hook"),
        "reverse_proxy_acme_dns_environment": {
            "HOOK_URL": f"http://{client.addresses['outside']}:8055",
            "HOOK_TOKEN": HOOK_TOKEN,
        },
    }
    done = converge(client, **variables)
    assert HOOK_TOKEN not in done.stdout + done.stderr
    # Port 80 knows no challenges any more.
    assert edge.http(f"/.well-known/acme-challenge/{'a' * 43}")[0] == 301
    edge.start("forced", "--no-block")
    arguments = ""
    for _try in range(100):
        arguments += edge.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' || true")
        if edge.served() != before:
            break
        time.sleep(0.2)
    assert edge.start("now")
    assert "lego --accept-tos" in arguments
    assert HOOK_TOKEN not in arguments
    assert edge.served() != before
    assert edge.trusted(root)
    # The hook says the token; the journal does not repeat it.
    journal = edge.sh("journalctl --sync; journalctl --no-pager -u hardened-acme-order.service")
    assert "the token is ********" in journal
    assert HOOK_TOKEN not in journal
    assert edge.sh(f"grep -rlF {HOOK_TOKEN} /etc /var /run || true") == ""


def test_a_hook_that_fails_is_told(client: Client) -> None:
    edge = Edge("edge-12", client)
    before = edge.served()
    edge.sh(
        'sed -i \'/^import json/a sys = __import__("sys"); sys.exit("the zone is locked")\' /usr/local/libexec/hardened-edge/acme-dns-hook'
    )
    assert not edge.start("forced")
    assert edge.lines()[-1]["cause"] == "dns_hook"
    assert edge.served() == before


def test_back_to_http(client: Client, edge: Edge) -> None:
    converge(client)
    assert edge.http(f"/.well-known/acme-challenge/{'a' * 43}")[0] == 404
    assert edge.sh("ls /usr/local/libexec/hardened-edge").split() == [
        "acme-order",
        "acme-renew",
        "edge-log",
        "last_answers.lua",
        "let-clients-go",
        "refusals.lua",
        "slots.lua",
        "waf-rules-exist",
        "waf_known.lua",
    ]


def test_leaving(client: Client, edge: Edge) -> None:
    own = (client.inventory / ".pki" / "ca.crt").read_text()
    converge(client, reverse_proxy_acme_directory="")
    assert edge.trusted(own)
    assert (
        edge.sh(
            "ls -d /etc/hardened/acme* /var/lib/hardened-acme /usr/local/lib/hardened 2>/dev/null || true"
        )
        == ""
    )
    assert edge.sh("systemctl list-unit-files 'hardened-acme*' --no-legend --no-pager || true") == ""
    assert changed(converge(client, reverse_proxy_acme_directory="")) == [0, 0]


def test_a_first_time_without_an_authority(client: Client, edge: Edge, no_authority: None) -> None:
    own = (client.inventory / ".pki" / "ca.crt").read_text()
    done = converge(client, code=1)
    for words in ("no certificate from https://outside:14000/dir: unreachable", "connection refused"):
        assert words in done.stdout
    assert "Clients are served with that of the environment" in " ".join(done.stdout.split())
    assert edge.trusted(own)
    assert (edge.lines()[-1]["action"], edge.lines()[-1]["serving"]) == ("renewal_failed", "environment")


def test_the_next_run_gets_it(client: Client, edge: Edge) -> None:
    converge(client)
    assert edge.trusted(root_of(client))
    assert changed(converge(client)) == [0, 0]


def test_a_reboot_changes_nothing(client: Client) -> None:
    edge = Edge("edge-12", client)
    before = edge.served()
    client.fleet.reboot("edge-12")
    podman("exec", client.fleet.container("edge-12"), "systemctl", "is-system-running", "--wait", check=False)
    for _try in range(60):
        try:
            assert edge.served() == before
            break
        except OSError:
            time.sleep(0.5)
    assert edge.served() == before
    assert edge.sh("systemctl is-active hardened-acme.timer").strip() == "active"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Behind the edge: who may talk to whom, and how requests move between the slots."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from molecule.reverse_proxy.tests.conftest import Edge, Lab

APPS = ("app-12", "app-13")
SWITCHES = 20


@pytest.fixture(autouse=True)
def all_blue_again(lab: Lab) -> Iterator[None]:
    yield
    lab.weights(0)


def slots_seen(edge: Edge, requests: int) -> Counter[str]:
    client = edge.client()
    seen: Counter[str] = Counter()
    for _request in range(requests):
        client.request("GET", "/")
        seen[json.loads(client.getresponse().read())["slot"]] += 1
    return seen


def test_weights(edge: Edge) -> None:
    assert slots_seen(edge, 50) == {"blue": 50}
    edge.lab.weights(50)
    shares = slots_seen(edge, 400)
    # Five standard deviations.
    assert 150 <= shares["green"] <= 250
    edge.lab.weights(100)
    assert slots_seen(edge, 50) == {"green": 50}


def test_moving_weights_loses_nothing(edge: Edge) -> None:
    """Writes over kept connections, while the weights move all the time: each answered, each arrived once."""
    for app in APPS:
        edge.lab.run(app, "truncate", "--size=0", "/var/log/nginx/written.log")
    reloads = workers(edge)
    moving = threading.Event()
    answers: list[tuple[int, str]] = []
    lost: list[str] = []
    durations: list[float] = []

    def write() -> None:
        client = edge.client()
        while not moving.is_set() or len(answers) < 2000:
            began = time.monotonic()
            try:
                client.request("POST", "/write", b'{"some": "thing"}', {"Content-Type": "application/json"})
                response = client.getresponse()
                response.read()
                answers.append((response.status, str(response.getheader("X-Request-ID"))))
            except OSError as error:
                lost.append(repr(error))
                client.close()
            durations.append(time.monotonic() - began)
            time.sleep(0.05)

    writers = [threading.Thread(target=write) for _writer in range(10)]
    for writer in writers:
        writer.start()
    process = edge.lab.playbook("weights.yml", weights=",".join(["100", "0"] * (SWITCHES // 2)))
    output, _nothing = process.communicate(timeout=300)
    moving.set()
    for writer in writers:
        writer.join()
    assert process.returncode == 0, output
    durations.sort()
    p50, p99 = durations[len(durations) // 2], durations[len(durations) * 99 // 100]
    print(
        f"{edge.name}: {len(answers)} answers, {len(lost)} lost, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms"
    )
    assert output.count(f"changed: [{edge.name}]") == SWITCHES
    assert lost == []
    assert {status for status, _id in answers} == {201}
    arrived = [
        json.loads(line)["request_id"]
        for app in APPS
        for line in edge.lab.run(app, "cat", "/var/log/nginx/written.log").splitlines()
    ]
    assert sorted(arrived) == sorted(request_id for _status, request_id in answers)
    # And nginx was never reloaded.
    assert workers(edge) == reloads


def workers(edge: Edge) -> str:
    return edge.lab.run(edge.name, "pgrep", "-u", "www-data", "nginx")


@pytest.fixture
def app_host_down(lab: Lab) -> Iterator[str]:
    lab.run(APPS[0], "systemctl", "stop", "nginx")
    yield APPS[0]
    lab.run(APPS[0], "systemctl", "start", "nginx")


def test_app_host_down_is_not_noticed(edge: Edge, app_host_down: str) -> None:
    client = edge.client()
    for number in range(30):
        # Writes too: a host that cannot be reached has not begun one.
        client.request("POST" if number % 2 else "GET", "/")
        response = client.getresponse()
        answer = json.loads(response.read())
        assert (response.status, answer["app"]) == (200, APPS[1]), app_host_down


def test_application_that_is_not_there_is_not_noticed(edge: Edge) -> None:
    client = edge.client()
    for _number in range(20):
        client.request("GET", "/gone")
        response = client.getresponse()
        assert (response.status, response.read()) == (200, b"here")


def test_what_may_not_be_repeated_is_not(edge: Edge) -> None:
    """The application may have done it before it was gone."""
    time.sleep(6)  # the host that failed before is asked again
    client = edge.client()
    statuses = []
    for _number in range(6):
        client.request("POST", "/gone", b"{}", {"Content-Type": "application/json"})
        response = client.getresponse()
        response.read()
        statuses.append(response.status)
    assert 502 in statuses


def test_app_hosts_know_the_edge(edge: Edge) -> None:
    assert edge.get("/").json["edge"] == f"CN={edge.name}"


def test_app_hosts_refuse_strangers(edge: Edge) -> None:
    """No certificate, no answer."""
    context = edge.context()
    context.check_hostname = False
    with (
        socket.create_connection((edge.lab.addresses["app-12"], 8441), 10) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"400 Bad Request" in connection.recv(4096)


@pytest.fixture(params=["self-signed", "another-host"])
def impostor(request: pytest.FixtureRequest, lab: Lab) -> Iterator[str]:
    """App hosts that cannot prove that they are app hosts."""
    for app in APPS:
        script = "cp /etc/nginx/nginx.conf /root/nginx.conf && "
        if request.param == "self-signed":
            subject = f"/CN=app.{domain(lab)}"
            script += (
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /root/i.key -out /root/i.crt "
                f"-subj {subject} -addext subjectAltName=DNS:app.{domain(lab)} 2>/dev/null && "
                "sed -i s,/etc/hardened/pki/host.,/root/i., /etc/nginx/nginx.conf && "
            )
        else:
            script += f"sed -i s,/etc/hardened/pki/host.,/root/{request.param}., /etc/nginx/nginx.conf && "
            for kind in ("crt", "key"):
                content = lab.run("edge-12", "cat", f"/etc/hardened/pki/host.{kind}")
                lab.run(app, "sh", "-c", f"printf %s '{content}' > /root/{request.param}.{kind}")
        lab.run(app, "sh", "-c", script + "nginx -t && systemctl restart nginx")
    yield request.param
    for app in APPS:
        lab.run(app, "sh", "-c", "cp /root/nginx.conf /etc/nginx/nginx.conf && systemctl restart nginx")


def domain(lab: Lab) -> str:
    return lab.domain.partition(".")[2]


def test_edge_refuses_impostors(edge: Edge, impostor: str) -> None:
    answer = edge.get("/", "-X", "POST", "-d", "{}")
    assert (answer.status, answer.json["error"]["code"]) == (502, "bad_gateway"), impostor
    assert answer.header("x-frame-options") == "DENY"
    assert answer.json["error"]["request_id"] == answer.header("x-request-id")
    for _attempt in range(20):
        errors = edge.lab.run(edge.name, "journalctl", "-t", "nginx_error", "-o", "cat", "-n", "50")
        if "upstream SSL certificate" in errors:
            return
        time.sleep(0.3)
    raise AssertionError(errors)

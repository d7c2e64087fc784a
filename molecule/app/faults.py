# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario, in this order: releases, failed releases, rollbacks, restarts, damage, a reboot."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from labkit.client import Client
from labkit.plays import changes, converge, eventually, play, refused
from labkit.podman import LabError, podman

CONVERGE = "../molecule/app/converge.yml"
ROLLBACK = "../molecule/app/rollback.yml"
RECORD = "/var/lib/hardened/release.json"
LOAD = """
import http.client, json, sys, time
lost, answered, slowest, end = [], 0, 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    started = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        answer.read()
        answered += 1
        slowest = max(slowest, time.monotonic() - started)
    except Exception as error:
        lost.append(f"{time.monotonic() - end:.2f} {error!r}")
    finally:
        connection.close()
    time.sleep(max(0, 0.02 - (time.monotonic() - started)))
print(json.dumps([answered, slowest, lost]))
"""


def states(hosts: list[Any]) -> list[dict[str, str]]:
    return [host.state() for host in hosts]


def test_a_release_fills_the_idle_slot_and_leaves_the_other_alone(client: Client, hosts: list[Any]) -> None:
    before = [(host.slot, host.pid(host.slot), host.record()) for host in hosts]
    planned = converge(client, "--check", "-e", "release=second", "-e", "app_log_level=ERROR")
    assert re.search(r"^\+LOG_LEVEL=ERROR", planned.stdout, re.MULTILINE)
    assert [(host.slot, host.pid(host.slot), host.record()) for host in hosts] == before

    converge(client, "-e", "release=second", "-e", "app_log_level=ERROR")
    for host, (slot, pid, record) in zip(hosts, before, strict=True):
        assert host.slot != slot
        assert host.pid(slot) == pid
        assert host.get(slot).startswith("200 ")
        assert json.loads(host.get(host.slot, "/version").partition(" ")[2])["release"] == "second"
        assert host.record()["previous"]["release"] == record["release"]
        assert "LOG_LEVEL=ERROR" in host.run("cat", f"/etc/hardened/app/{host.slot}/environment")
        assert "LOG_LEVEL=WARNING" in host.run("cat", f"/etc/hardened/app/{slot}/environment")


def test_the_same_again_is_no_release(client: Client, hosts: list[Any]) -> None:
    before = states(hosts)
    assert changes(converge(client, "-e", "app_log_level=ERROR")) == {0}
    assert states(hosts) == before


def test_a_rollback_moves_nothing_but_the_record(client: Client, hosts: list[Any]) -> None:
    before = [(host.idle, host.record()["previous"]["release"], host.state()) for host in hosts]
    assert play(client, ROLLBACK).returncode == 0
    for host, (idle, previous, state) in zip(hosts, before, strict=True):
        record = host.record()
        assert (record["slot"], record["release"], record["previous"]["release"]) == (
            idle,
            previous,
            "second",
        )
        assert [host.pid(slot) for slot in ("blue", "green")] == [state["blue"], state["green"]]
    # What serves is what the inventory asks for again.
    assert changes(converge(client)) == {0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ("app_ready_path=/no-such-path",),
            r"/no-such-path.*The previous set is back",
            id="never-ready",
        ),
        pytest.param(
            ('{"app_environment": {"DATABASE_SSLMODE": "disable"}, "app_migrate_command": []}',),
            r"DATABASE_SSLMODE.*The previous set is back",
            id="refuses-to-start",
        ),
        pytest.param(
            ('{"app_migrate_command": ["no-such-command"]}',), "no-such-command", id="migration-fails"
        ),
        pytest.param(
            ("image=registry-1:5000/reference-api@sha256:" + "0" * 64,), "IMAGE_MISSING", id="no-image"
        ),
        pytest.param(
            ('{"app_memory": "16m", "app_migrate_command": []}',),
            "The previous set is back",
            id="too-little-memory",
        ),
        pytest.param(
            ('{"app_syscalls": ["read", "write", "openat"], "app_migrate_command": []}',),
            "The previous set is back",
            id="too-few-system-calls",
        ),
    ],
)
def test_a_release_that_fails_changes_nothing(
    client: Client, hosts: list[Any], arguments: tuple[str, ...], words: str
) -> None:
    before = states(hosts)
    extra = [
        part
        for argument in (*arguments, "release=failed", "app_log_level=ERROR")
        for part in ("-e", argument)
    ]
    said = refused(client, CONVERGE, *extra, "-e", "app_ready_deadline=8")
    assert re.search(words, said, re.DOTALL), said[-3000:]
    after = states(hosts)
    for host, one, two in zip(hosts, before, after, strict=True):
        assert one["files"] == two["files"]
        assert one[host.slot] == two[host.slot]
        assert host.get(host.slot).startswith("200 ")
    # Put back, not just taken out: a rollback is still possible.
    eventually(lambda: all(host.get(host.idle).startswith("200 ") for host in hosts))
    assert changes(converge(client)) == {0}


def test_a_port_that_is_taken_is_named(client: Client, hosts: list[Any]) -> None:
    host = hosts[1]
    before = host.state()
    # The slot is down and somebody else has taken its port.
    host.run("systemctl", "stop", f"hardened-app@{host.idle}.service")
    port = {"blue": 18441, "green": 18442}[host.idle]
    taking = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(120)"
    host.run("systemd-run", "--quiet", "--collect", "--unit=probe-port", "python3", "-c", taking)
    try:
        said = refused(client, CONVERGE, "-e", "release=failed", "-e", "app_log_level=ERROR")
    finally:
        host.run("systemctl", "stop", "probe-port")
    assert f"127.0.0.1:{port}" in said
    assert "address already in use" in said
    assert host.get(host.slot).startswith("200 ")
    host.run("systemctl", "start", f"hardened-app@{host.idle}.service")
    assert host.state()["files"] == before["files"]
    assert changes(converge(client)) == {0}


def test_an_application_that_reads_no_files_gets_a_secret_by_the_shim(
    client: Client, hosts: list[Any], tmp_path: Path
) -> None:
    wanted = tmp_path / "shim.json"
    serve = ["/usr/bin/python3.13", "-m", "reference_api"]
    shim = {
        "app_secret_environment": ["SECRET_KEY"],
        "app_command": [*serve, "serve"],
        "app_migrate_command": [*serve, "migrate"],
    }
    wanted.write_text(json.dumps(shim), encoding="utf-8")
    converge(client, "-e", "release=shim", "-e", f"@{wanted}")
    for host in hosts:
        environment = host.run("cat", f"/proc/{host.pid(host.slot)}/environ").split("\0")
        assert f"SECRET_KEY={client.secrets['app_secret_key']}" in environment
        assert not [line for line in environment if line.startswith(("SECRET_KEY_FILE=", "ADMIN_API_KEY="))]
        assert host.get(host.slot).startswith("200 ")
        shown = host.run("docker", "inspect", f"app-{host.slot}")
        assert [name for name, value in client.secrets.items() if value in shown] == []
    assert changes(converge(client, "-e", f"@{wanted}")) == {0}
    assert play(client, ROLLBACK).returncode == 0
    assert changes(converge(client)) == {0}


def test_another_secret_is_another_release_and_the_old_one_keeps_its_own(
    client: Client, hosts: list[Any]
) -> None:
    kept = {host.name: host.slot for host in hosts}
    other = "zKq4pX9vRt2mWb7nYc5jLd8sHf3gTa6uEe1oIi0yQx"  # pragma: allowlist secret
    done = converge(client, "-e", "release=rotated", "-e", f"app_secret_key={other}")
    assert other not in done.stdout + done.stderr
    for host in hosts:
        now = host.run("cat", f"/run/hardened-app/{host.slot}/SECRET_KEY")
        old = host.run("cat", f"/run/hardened-app/{kept[host.name]}/SECRET_KEY")
        assert (now, old) == (other, client.secrets["app_secret_key"])
    assert play(client, ROLLBACK).returncode == 0
    assert changes(converge(client)) == {0}


def test_hosts_that_hold_different_releases_are_not_rolled_back(client: Client, hosts: list[Any]) -> None:
    path = f"/var/lib/hardened/slot-{hosts[1].idle}.json"
    hosts[1].run("sed", "-i.bak", 's/"rotated"/"something-else"/', path)
    # Where it was kept it would be put back; playbooks/rollback.yml does so in the scenario rollout.
    kept = "/var/lib/hardened/releases/rotated.json"
    hosts[1].run("mv", kept, f"{kept}.away")
    before = states(hosts)
    said = refused(client, ROLLBACK)
    assert f"app-2: slot {hosts[1].idle} holds release something-else, not release rotated" in said
    assert "app-1: slot" not in said
    assert states(hosts) == before
    hosts[1].run("mv", f"{kept}.away", kept)
    hosts[1].run("mv", f"{path}.bak", path)


def test_a_host_that_missed_the_last_record_follows_the_fleet(client: Client, hosts: list[Any]) -> None:
    serving = hosts[0].record()
    hosts[1].run("cp", "-p", RECORD, f"{RECORD}.bak")
    stale = {**serving["previous"], "previous": None, "history": []}
    hosts[1].run("sh", "-c", f"echo '{json.dumps(stale)}' > {RECORD}")
    assert changes(converge(client)) == {0, 1}
    now = hosts[1].record()
    assert {key: now[key] for key in ("slot", "release", "image")} == {
        key: serving[key] for key in ("slot", "release", "image")
    }
    hosts[1].run("mv", f"{RECORD}.bak", RECORD)


def test_a_damaged_record_stops_a_release_before_it_touches_a_slot(client: Client, hosts: list[Any]) -> None:
    for host in hosts:
        host.run("cp", "-p", RECORD, f"{RECORD}.bak")
        host.run("sh", "-c", f"echo '{{' > {RECORD}")
    before = states(hosts)
    for playbook in (CONVERGE, ROLLBACK):
        said = refused(client, playbook, "-e", "app_log_level=ERROR")
        assert f"app-1, app-2: {RECORD} is not a release record" in said
    assert states(hosts) == before
    for host in hosts:
        host.run("mv", f"{RECORD}.bak", RECORD)


# An upgrade is what dpkg does in one, with the same version, and then the restart of all of it, which Debian leaves to the operator.
UPGRADE = """
export DEBIAN_FRONTEND=noninteractive
apt-get install --reinstall --yes --quiet docker.io containerd runc >/dev/null
systemctl restart containerd.service docker.service
"""


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        pytest.param(("systemctl", "restart", "docker.service"), "25", id="restart"),
        pytest.param(("sh", "-ec", UPGRADE), "60", id="upgrade"),
    ],
)
def test_requests_do_not_notice_that_the_engine_goes_and_comes(
    host: Any, work: tuple[str, ...], seconds: str
) -> None:
    port = {"blue": "18441", "green": "18442"}[host.slot]
    before = host.pid(host.slot)
    container = host.client.fleet.container(host.name)
    load = subprocess.Popen(
        ["podman", "exec", container, "python3", "-c", LOAD, port, seconds], stdout=subprocess.PIPE, text=True
    )
    time.sleep(3)
    engine = host.run("systemctl", "show", "--property=ExecMainPID", "docker.service")
    host.run(*work)
    assert host.run("systemctl", "show", "--property=ExecMainPID", "docker.service") != engine
    assert load.poll() is None
    out = load.communicate(timeout=120)[0]
    answered, slowest, lost = json.loads(out)
    assert host.pid(host.slot) == before
    assert lost == []
    assert answered > 100
    assert slowest < 3


def test_a_slot_does_not_start_without_the_rules_of_where_it_may_go(host: Any) -> None:
    unit = f"hardened-app@{host.idle}.service"
    host.run("nft", "delete", "table", "inet", "hardened_egress")
    try:
        with pytest.raises(LabError, match="control process exited with error code"):
            host.run("systemctl", "restart", unit)
        assert host.get(host.idle).startswith("0 ")
    finally:
        host.run("systemctl", "restart", "hardened-egress.service")
        host.run("systemctl", "restart", unit)
    eventually(lambda: host.get(host.idle).startswith("200 "))


def test_the_rules_come_back_with_what_clears_all_rules(host: Any) -> None:
    host.run("systemctl", "restart", "nftables.service")
    assert "reject with tcp reset" in host.run("nft", "list", "table", "inet", "hardened_egress")
    # The engine's own are the engine's to bring back.
    host.run("systemctl", "stop", "nftables.service")
    host.run("systemctl", "start", "hardened-egress.service")
    host.run("systemctl", "restart", "docker.service", "hardened-listener.service")
    eventually(lambda: host.get(host.slot).startswith("200 "))


@pytest.mark.parametrize("damage", ["edited", "stopped"])
def test_a_slot_that_is_not_what_it_should_be_is_released_anew(
    client: Client, hosts: list[Any], damage: str
) -> None:
    slot = hosts[1].slot
    if damage == "edited":
        hosts[1].run("sed", "-i", "s/WARNING/DEBUG/", f"/etc/hardened/app/{slot}/environment")
    else:
        hosts[1].run("systemctl", "stop", f"hardened-app@{slot}.service")
        assert hosts[1].get(slot).startswith("0 ")
        # With the unit go its secrets.
        assert slot not in hosts[1].run("ls", "/run/hardened-app", "/run/credentials")
    converge(client)
    for host in hosts:
        assert host.slot != slot
        assert host.get(host.slot).startswith("200 ")
    assert changes(converge(client)) == {0}


def test_a_listener_that_cannot_be_is_refused(client: Client, hosts: list[Any]) -> None:
    for host in hosts:
        host.run("mv", "/etc/hardened/pki/host.crt", "/etc/hardened/pki/away")
    before = states(hosts)
    # Any change of the set makes its checker look.
    hosts[0].run("sh", "-c", "echo '# by hand' >> /etc/hardened/listener/nginx.conf")
    said = refused(client, CONVERGE)
    assert "/etc/hardened/pki/host.crt" in said
    for host in hosts:
        host.run("mv", "/etc/hardened/pki/away", "/etc/hardened/pki/host.crt")
        assert host.run("systemctl", "is-active", "hardened-listener.service").strip() == "active"
    converge(client)
    assert states(hosts) == before


def test_a_reboot_brings_back_what_served(client: Client, host: Any) -> None:
    slot = host.slot
    podman("restart", "--time", "20", client.fleet.container(host.name))
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection((client.addresses[host.name], 22), 2).close()
            if host.get(slot).startswith("200 "):
                break
        except OSError:
            pass
        assert time.monotonic() < deadline, host.run("systemctl", "--failed")
        time.sleep(1)
    assert host.run(
        "systemctl", "is-active", "hardened-listener.service", f"hardened-app@{slot}.service"
    ).split() == [
        "active",
        "active",
    ]


def test_after_all_that_nothing_is_left_to_do(client: Client, hosts: list[Any]) -> None:
    assert changes(converge(client)) == {0}
    for host in hosts:
        assert host.run("sh", "-c", "ls -A /var/lib/hardened | grep '^[.]release-' || true") == ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The application in its cage, and the one door to it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

import pytest
from labkit.client import Client
from labkit.podman import LabError

LISTENERS = {"blue": 8441, "green": 8442}
ASK = """
import ssl, sys, urllib.error, urllib.request
url, version, *own = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/hardened/pki/ca.crt")
context.maximum_version = ssl.TLSVersion[version]
if own:
    context.load_cert_chain(own[0] + "/host.crt", own[0] + "/host.key")
try:
    print(urllib.request.urlopen(url, context=context, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(getattr(error, "reason", error))
"""
PKI = "/etc/hardened/pki"


def ask(client: Client, origin: str, host: Any, *own: str, version: str = "TLSv1_3", slot: str = "") -> str:
    url = f"https://{client.addresses[host.name]}:{LISTENERS[slot or host.slot]}/readyz"
    return client.on(origin, "python3", "-c", ASK, url, version, *own).strip()


# --- what serves ---


def test_the_slot_that_serves_is_ready(host: Any) -> None:
    assert host.get(host.slot).startswith("200 ")


def test_all_hosts_record_the_same_release(hosts: list[Any]) -> None:
    bundles = [
        {key: host.record()[key] for key in ("slot", "release", "image", "previous")} for host in hosts
    ]
    previous = [(bundle.pop("previous") or {}).get("release") for bundle in bundles]
    assert bundles[0] == bundles[1]
    assert previous[0] == previous[1]
    for host in hosts:
        held = host.record(f"slot-{host.slot}")
        assert held == {key: bundles[0][key] for key in held}
        assert json.loads(host.get(host.slot, "/version").partition(" ")[2])["release"] == held["release"]


def test_the_container_is_the_image_that_was_asked_for(host: Any) -> None:
    image = host.run("docker", "inspect", "--format={{.Config.Image}}", f"app-{host.slot}").strip()
    assert image == host.record()["image"]


def test_what_the_application_says_is_in_the_host_s_log(host: Any) -> None:
    start = host.run("grep", "-h", "configuration_loaded", "/var/log/auth.log").splitlines()
    assert any(host.record()["release"] in line for line in start)


# --- the cage ---


def status(host: Any) -> dict[str, str]:
    lines = host.run("cat", f"/proc/{host.pid(host.slot)}/status").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_the_process_has_no_powers(host: Any) -> None:
    found = status(host)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[kind], 16) == 0, kind
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert (found["Uid"].split(), found["Gid"].split()) == ([str(host.uid)] * 4, [str(host.uid)] * 4)
    assert found.get("Groups", "").split() in ([], [str(host.uid)])


def test_only_tmp_can_be_written_and_nothing_there_runs(host: Any) -> None:
    program = """
import errno, os, pathlib, subprocess
mounts = {line.split()[1] for line in open("/proc/self/mounts")}
writable = []
for place, _directories, _files in os.walk("/"):
    if place.startswith(("/proc", "/sys", "/dev")):
        continue
    try:
        pathlib.Path(place, ".written").write_text("x"); writable.append(place)
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES, errno.ENOENT), (place, error)
print(writable)
tool = pathlib.Path("/tmp/tool")
tool.write_bytes(pathlib.Path("/usr/bin/python3.13").read_bytes()); tool.chmod(0o755)
try:
    subprocess.run([tool, "--version"]); print("ran")
except PermissionError:
    print("does not run")
try:
    with open("/tmp/large", "wb") as large:
        for _ in range(100):
            large.write(bytes(2**20)); large.flush()
    print("no limit")
except OSError as error:
    print(errno.errorcode[error.errno])
for path in pathlib.Path("/tmp").iterdir():
    path.unlink()
"""
    assert host.inside(program).splitlines() == ["['/tmp']", "does not run", "ENOSPC"]


def test_processes_are_limited(host: Any) -> None:
    program = """
import os, signal
children = []
try:
    for _ in range(400):
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except BlockingIOError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
print(len(children))
"""
    assert 50 < int(host.inside(program)) < 128


def test_memory_is_limited_and_the_application_lives_on(host: Any) -> None:
    before = host.pid(host.slot)
    with pytest.raises(LabError, match="exit code 137"):
        host.inside("hoard = [bytearray(2**20) for _ in range(700)]; print(len(hoard))")
    assert host.pid(host.slot) == before
    assert host.get(host.slot).startswith("200 ")


SECRETS = ("ADMIN_API_KEY", "DATABASE_PASSWORD", "SECRET_KEY")


def test_secrets_are_the_process_s_alone(host: Any) -> None:
    place = f"/run/hardened-app/{host.slot}"
    listed = host.run("find", place, "-type", "f", "-printf", "%P %U:%G %m\n").splitlines()
    # The last one is the certificate, with its key, of the database's login.
    assert sorted(listed) == [f"{name} {host.uid}:{host.uid} 400" for name in (*SECRETS, "database.pem")]
    assert host.run("stat", "--file-system", "-c", "%T", place).strip() == "tmpfs"
    environment = f"/etc/hardened/app/{host.slot}/environment"
    assert host.run("stat", "-c", "%U:%G %a", environment).strip() == "root:root 600"
    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    with pytest.raises(LabError, match="Permission denied"):
        host.run(*nobody, "cat", f"{place}/SECRET_KEY")


def test_at_rest_secrets_are_credentials_of_this_host(client: Client, hosts: list[Any]) -> None:
    here, there = hosts
    for name, variable in zip(
        SECRETS, ("app_admin_api_key", "postgres_app_password", "app_secret_key"), strict=True
    ):
        path = f"/etc/credstore.encrypted/app-{here.slot}.{name}"
        assert here.run("stat", "-c", "%U:%G %a", path).strip() == "root:root 400"
        # Not the file's own name, which says the slot: a release that is kept fits into either.
        assert (
            here.run("systemd-creds", "decrypt", f"--name=app.{name}", path, "-") == client.secrets[variable]
        )
        with pytest.raises(LabError):
            there.client.on(
                there.name,
                "sh",
                "-ec",
                f"echo '{here.run('cat', path)}' | systemd-creds decrypt --name=app.{name} - -",
            )


# What files hold that are no programs: all of the root file system, and what the engine keeps of containers.
DISK = r"""
find /etc /home /root /tmp /var /opt /srv -xdev -path /var/cache/apt -prune -o -path /var/lib/apt -prune -o -type f -print0 |
  xargs -0 cat $(find /var/lib/docker/containers -type f) | tr -cd '\11\12\40-\176'
"""


def test_no_secret_is_anywhere_else(client: Client, host: Any) -> None:
    pid, unit = host.pid(host.slot), f"hardened-app@{host.slot}.service"
    places = {
        "docker inspect": host.run("docker", "inspect", f"app-{host.slot}"),
        "process": host.run("cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline"),
        "unit": host.run("systemctl", "show", unit) + host.run("systemctl", "cat", unit),
        "environment": host.run("cat", f"/etc/hardened/app/{host.slot}/environment"),
        "journal": host.run("journalctl", "--no-pager", "--quiet", "--all"),
        "logs": host.run("sh", "-c", "cat /var/log/*log"),
        "arguments of all processes": host.run("ps", "-ewwo", "args"),
        "disk": host.run("sh", "-c", DISK),
    }
    for name, value in client.secrets.items():
        assert [place for place, text in places.items() if value in text] == [], name


# --- the door ---


def test_the_listener_admits_only_the_edge(client: Client, host: Any) -> None:
    assert ask(client, "edge-1", host, PKI) == "200"
    assert ask(client, "edge-1", host) == "400"
    assert ask(client, "db-1", host, PKI) == "403"
    assert ask(client, host.name, host, PKI) == "403"


def test_the_listener_does_not_admit_who_only_claims_to_be_the_edge(client: Client, host: Any) -> None:
    forge = """
        mkdir -p /run/forged; cd /run/forged; umask 077
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=edge-1 \
          -addext subjectAltName=DNS:edge-1 -keyout host.key -out host.crt 2>/dev/null
    """
    client.on("db-1", "sh", "-ec", forge)
    assert ask(client, "db-1", host, "/run/forged") == "400"
    client.on("db-1", "rm", "-r", "/run/forged")


def test_the_listener_speaks_tls_1_3_only(client: Client, host: Any) -> None:
    assert "alert protocol version" in ask(client, "edge-1", host, PKI, version="TLSv1_2").lower()


@pytest.mark.parametrize("port", [80, 8000, 18441, 18442])
def test_nothing_else_is_open(client: Client, host: Any, port: int) -> None:
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((client.addresses[host.name], port), 2)


def test_nobody_routes_around_the_listener(client: Client, host: Any) -> None:
    inspect = ("docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", f"app-{host.slot}")
    address = host.run(*inspect).strip()
    with contextlib.suppress(LabError):
        client.on("edge-1", "ip", "route", "del", f"{address}/32")
    client.on("edge-1", "ip", "route", "add", f"{address}/32", "via", client.addresses[host.name])
    program = f"import socket; socket.create_connection(('{address}', 8000), 3)"
    with pytest.raises(LabError, match="timed out"):
        client.on("edge-1", "python3", "-c", program)
    client.on("edge-1", "ip", "route", "del", f"{address}/32")


def test_the_listener_has_no_powers_and_is_not_root(host: Any) -> None:
    main = host.run("systemctl", "show", "--value", "--property=MainPID", "hardened-listener.service").strip()
    lines = host.run("cat", f"/proc/{main}/status").splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
    assert found["NoNewPrivs"] == "1"
    assert "0" not in found["Uid"].split()


def test_the_stock_server_is_off(host: Any) -> None:
    state = host.run("sh", "-c", "systemctl is-active nginx.service; systemctl is-enabled nginx.service; :")
    assert state.split() == ["inactive", "disabled"]


def test_a_crashed_application_comes_back(host: Any) -> None:
    before = host.pid(host.slot)
    host.run("kill", "-KILL", before)
    deadline = time.monotonic() + 30
    while host.pid(host.slot) in (before, "0") or not host.get(host.slot).startswith("200 "):
        assert time.monotonic() < deadline
        time.sleep(0.3)

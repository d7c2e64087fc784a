# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a kernel of its own can show: the API behind AppArmor, limits by control groups of version 2, data behind dm-crypt."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from labkit.client import Client
from labkit.podman import LabError

HOST = "api-1"


def process(client: Client) -> str:
    """The id of the application's process on the host."""
    return client.on(HOST, "docker", "inspect", "--format", "{{.State.Pid}}", client.serving(HOST)).strip()


def test_a_client_creates_and_reads(client: Client) -> None:
    issued = client.admin("POST", "/admin/keys", {"client": "vm"}).json
    key = {"X-API-Key": issued["key"]}
    created = client.request("POST", "/v1/items", headers=key, body={"name": "first"})
    assert (created.status, created.protocol) == (201, "HTTP/2")
    assert client.request("GET", f"/v1/items/{created.json['id']}", headers=key).json["name"] == "first"
    assert client.admin("DELETE", f"/admin/keys/{issued['id']}").status in (200, 204)


def test_apparmor_confines_the_application(client: Client) -> None:
    assert (
        client.on(HOST, "cat", f"/proc/{process(client)}/attr/current").strip() == "docker-default (enforce)"
    )


def test_limits_are_the_kernel_s(client: Client) -> None:
    """The numbers of the inventory are those of the process's own control group, of version 2."""
    wanted = json.loads(client.on(HOST, "docker", "inspect", client.serving(HOST)))[0]["HostConfig"]
    group = client.on(HOST, "cat", f"/proc/{process(client)}/cgroup").strip().removeprefix("0::")
    limits = {
        name: client.on(HOST, "cat", f"/sys/fs/cgroup{group}/{name}").strip()
        for name in ("memory.max", "pids.max", "cpu.max", "memory.swap.max")
    }
    assert limits["memory.max"] == str(wanted["Memory"])
    assert limits["pids.max"] == str(wanted["PidsLimit"])
    quota, period = limits["cpu.max"].split()
    assert int(quota) / int(period) == wanted["NanoCpus"] / 1e9
    assert limits["memory.swap.max"] == "0"


def test_a_memory_hog_is_ended_in_its_own_group(client: Client) -> None:
    """The kernel ends what asks for more than the container has, the API comes back, and nothing else is touched."""
    before = client.on(HOST, "systemctl", "show", "--property=MainPID", "rsyslog", "nginx")
    events = client.on(HOST, "sh", "-c", "dmesg | grep -c 'Memory cgroup out of memory' || true").strip()
    with pytest.raises(LabError, match="137"):
        client.in_app(HOST, "held = [bytearray(1 << 20) for _ in range(1 << 16)]")
    after = client.on(HOST, "sh", "-c", "dmesg | grep -c 'Memory cgroup out of memory' || true").strip()
    assert int(after) > int(events)
    assert client.on(HOST, "systemctl", "show", "--property=MainPID", "rsyslog", "nginx") == before


def test_the_data_is_encrypted(client: Client) -> None:
    assert (
        client.on(HOST, "findmnt", "-no", "SOURCE", "/var/lib/postgresql").strip()
        == "/dev/mapper/hardened-data"
    )
    assert "crypt" in client.on(HOST, "lsblk", "-no", "TYPE", "/dev/disk/by-id/virtio-data")


def as_user(client: Client, *command: str) -> str:
    """What comes of a command that somebody runs on the host who is not root."""
    user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")
    return client.on(HOST, "sh", "-c", f"{shlex.join((*user, *command))} 2>&1; echo $?")


def test_the_kernel_is_told(client: Client) -> None:
    """Each setting is the running kernel's, and what they forbid fails for a user and works for root."""
    text = client.on(HOST, "cat", "/etc/sysctl.d/60-hardened-containers.conf")
    wanted = dict(re.findall(r"^-?([a-z0-9_.]+) = (\d+)$", text, re.M))
    said = client.on(HOST, "sysctl", "--ignore", *wanted)
    known = dict(re.findall(r"^([a-z0-9_.]+) = (\d+)$", said, re.M))
    assert len(known) > 20
    assert known == {name: wanted[name] for name in known}
    assert all(f"\n-{name} " in text for name in wanted.keys() - known.keys())
    for command in (("unshare", "--user", "true"), ("dmesg",)):
        assert not as_user(client, *command).endswith("\n0\n"), command
        client.on(HOST, *command)
    assert "0000000000000000" in as_user(client, "grep", "-m1", " commit_creds$", "/proc/kallsyms")


def test_no_unit_failed(client: Client) -> None:
    assert client.on(HOST, "systemctl", "--failed", "--no-legend", "--plain") == ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Each bar of the cage, bent from inside: the probe fails there as it must, and does what it says where the bar is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labkit.client import Client

PROGRAM = (Path(__file__).parents[1] / "probes.py").read_text(encoding="utf-8")
PYTHON = "/usr/bin/python3.13"
BRIDGE = "172.17.0.1"
METADATA = "169.254.169.254"
SERVE = "import http.server as h; h.ThreadingHTTPServer(('{address}', {port}), h.BaseHTTPRequestHandler).serve_forever()"
ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("", 5353))
    while True:
        text, sender = server.recvfrom(64)
        server.sendto(text, sender)
"""

# A container of somebody who asks for nothing, as root, without any profile: the daemon's would be ours.
PLAIN = ("--user=0", "--security-opt=no-new-privileges=false", "--security-opt=seccomp=unconfined")
# Without what the engine itself holds closed, for probes that its defaults stop too.
OPEN = (
    *(
        *PLAIN,
        "--userns=host",
        "--network=host",
        "--pid=host",
        "--cgroupns=host",
        "--security-opt=systempaths=unconfined",
    ),
    *(
        f"--cap-add={name}"
        for name in "SYS_ADMIN SYS_PTRACE SYS_MODULE SYSLOG SYS_BOOT SYS_RAWIO SYS_NICE SYS_PACCT NET_ADMIN".split()
    ),
    *("--volume=/sys:/sys", "--volume=/var/run/docker.sock:/var/run/docker.sock"),
    *("--volume=/run/probe-secrets:/run/secrets", "--tmpfs=/dev/shm:rw,exec"),
)
# By probe: how it has to end in the cage, in which other container it is shown to work, and how it ends there.
CASES: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(
        ("write_root", "write_usr_lib", "write_etc", "write_run", "write_var"), ("EROFS", "plain", "done")
    ),
    "write_run_secrets": ("EROFS", "open", "done"),
    "run_from_tmp": ("EACCES", "plain", "done"),
    "run_from_shared_memory": ("EACCES", "open", "done"),
    "run_from_memory_file": ("EPERM", "plain", "done"),
    "map_code_from_tmp": ("EPERM", "plain", "done"),
    **dict.fromkeys(("give_file_to_root", "change_root"), ("EPERM", "plain", "done")),
    "make_block_device": ("EPERM", "open", "done"),
    **dict.fromkeys(("become_root", "become_root_group", "take_groups"), ("EPERM", "plain", "done")),
    "raise_priority": ("EACCES", "open", "done"),
    # This file system has no handles, and says so where the call is let through.
    "open_by_handle": ("EPERM", "plain", "ENOTSUP"),
    **dict.fromkeys(("unshare_user", "clone_user_namespace"), ("EPERM", "plain", "done")),
    "clone3_user_namespace": ("ENOSYS", "plain", "done"),
    **dict.fromkeys(("unshare_mounts", "unshare_network", "enter_namespace"), ("EPERM", "open", "done")),
    **dict.fromkeys(
        ("mount_tmpfs", "remount_root", "unmount", "new_mount_interface"), ("EPERM", "open", "done")
    ),
    **dict.fromkeys(
        ("be_traced", "trace_process", "read_memory_of_process", "take_descriptor_of_process"),
        ("EPERM", "plain", "done"),
    ),
    **dict.fromkeys(
        ("raw_socket", "packet_socket", "netfilter_socket", "audit_socket"), ("EPERM", "plain", "done")
    ),
    # The kernel of the lab's machine has no such family, and says so where the call is let through.
    "crypto_socket": ("EPERM", "plain", "EAFNOSUPPORT"),
    # What is not refused, so that the refusals beside it mean something.
    "reach_database": ("done", "open", "done"),
    **dict.fromkeys(
        tuple(
            f"reach_{name}"
            for name in "host_service own_listener metadata unlisted_host unlisted_port other_container".split()
        ),
        ("ECONNREFUSED", "open", "done"),
    ),
    # The kernel is sparing with notices, and one that is late comes to the same.
    "ask_name_server": ("EHOSTUNREACH|ETIMEDOUT", "open", "done"),
    "engine_socket": ("ENOENT", "open", "done"),
    # No such key: asked for and not found.
    **dict.fromkeys(("keyring", "request_key"), ("EPERM", "plain", "ENOKEY")),
    **dict.fromkeys(("add_key", "userfaultfd", "io_uring", "persona"), ("EPERM", "plain", "done")),
    **dict.fromkeys(
        ("performance_event", "bpf", "kernel_log", "set_host_name", "file_events"), ("EPERM", "open", "done")
    ),
    # The lab's kernel is built without them, and says so where the call is let through.
    **dict.fromkeys(
        ("load_module", "unload_module", "load_kernel", "port_privilege"), ("EPERM", "plain", "ENOSYS")
    ),
    # With arguments that no kernel takes.
    "reboot": ("EPERM", "open", "EINVAL"),
    **dict.fromkeys(("swap_on", "process_accounting"), ("EPERM", "open", "ENOENT")),
    **dict.fromkeys(
        (
            "shared_memory_by_number",
            "queue_by_number",
            "semaphore_by_number",
            "descriptor_table",
            "splice_memory",
        ),
        ("EPERM", "plain", "done"),
    ),
    "call_as_32_bit": ("SIGSYS", "plain", "done"),
    **dict.fromkeys(("core_pattern", "cgroup_limits"), ("EACCES", "open", "done")),
    "huge_pages": ("EROFS", "open", "done"),
    # Masked by an empty file.
    **dict.fromkeys(("read_timers", "read_keys"), ("ENODATA", "open", "done")),
    "host_processes": ("ESRCH", "open", "done"),
    "cgroup_of_host": ("ESRCH", "open", "done"),
}


@pytest.fixture(scope="module")
def outcomes(client: Client, host: Any) -> Iterator[dict[str, dict[str, str]]]:
    """Every probe in the container that serves, and in the two others."""
    image = host.record()["image"]
    inspect = ("docker", "inspect", "--format={{.NetworkSettings.IPAddress}}")
    start = ("docker", "run", "--detach", "--name=probe-neighbour", f"--entrypoint={PYTHON}", image, "-c")
    host.run("docker", "rm", "--force", "probe-neighbour")
    host.run(*start, SERVE.format(address="", port=80))
    host.run("install", "-d", "-m", "0777", "/run/probe-secrets")
    # What a cloud would have there is the lab's own here, so that nobody else is asked.
    host.run("ip", "address", "replace", f"{METADATA}/32", "dev", "lo")
    serving = ("systemd-run", "--quiet", "--collect")
    host.run(*serving, "--unit=probe-metadata", "python3", "-c", SERVE.format(address=METADATA, port=80))
    client.on("db-1", *serving, "--unit=probe-echo", "python3", "-c", ECHO)
    destinations = {
        "reach_database": f"{client.addresses['db-1']}:5432",
        "reach_host_service": f"{BRIDGE}:22",
        "reach_own_listener": f"{client.addresses[host.name]}:8441",
        "reach_metadata": f"{METADATA}:80",
        "reach_unlisted_host": f"{client.addresses['registry-1']}:5000",
        "reach_unlisted_port": f"{client.addresses['db-1']}:22",
        "reach_other_container": f"{host.run(*inspect, 'probe-neighbour').strip()}:80",
        "ask_name_server": f"{client.addresses['db-1']}:5353",
    }
    probing = ("-c", PROGRAM, json.dumps(destinations))
    fresh = ("docker", "run", "--rm", f"--entrypoint={PYTHON}")
    try:
        yield {
            "cage": json.loads(host.run("docker", "exec", f"app-{host.slot}", PYTHON, *probing)),
            "plain": json.loads(host.run(*fresh, *PLAIN, image, *probing)),
            "open": json.loads(host.run(*fresh, *OPEN, image, *probing)),
        }
    finally:
        host.run("docker", "rm", "--force", "probe-neighbour")
        host.run("systemctl", "stop", "probe-metadata")
        client.on("db-1", "systemctl", "stop", "probe-echo")
        host.run("ip", "address", "del", f"{METADATA}/32", "dev", "lo")
        host.run("rm", "-rf", "/run/probe-secrets")


def test_every_probe_has_its_case(outcomes: dict[str, dict[str, str]]) -> None:
    assert set(outcomes["cage"]) == set(CASES)
    assert len(CASES) >= 40


@pytest.mark.parametrize("probe", CASES)
def test_the_cage_holds(outcomes: dict[str, dict[str, str]], probe: str) -> None:
    caged, elsewhere, free = CASES[probe]
    # First that the probe is one at all: it works where this bar is not.
    assert (elsewhere, outcomes[elsewhere][probe]) == (elsewhere, free)
    assert outcomes["cage"][probe] in caged.split("|")

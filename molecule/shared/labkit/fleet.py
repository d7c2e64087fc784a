# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet: the hosts of one Molecule scenario, or of the lab itself, from boot to removal."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import shlex
import shutil
import socket
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from . import images, machines, network, paths
from .podman import LabError, host_options, podman, podman_json, run

BOOT_DEADLINE = 180
LAB = "lab"


@dataclass(frozen=True)
class Host:
    name: str
    debian: str
    groups: tuple[str, ...] = ()
    # A machine with a kernel of its own, in place of a container.
    machine: bool = False
    variables: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Fleet:
    name: str
    hosts: tuple[Host, ...]
    # Which of the examples its registry has; without one there is none.
    example: str = ""

    @classmethod
    def load(cls, name: str) -> Fleet:
        """Read a fleet's hosts from its Molecule scenario; the lab is the default scenario's fleet."""
        scenario = paths.CHECKOUT / "molecule" / ("default" if name == LAB else name) / "molecule.yml"
        if not scenario.exists():
            raise LabError(
                f"there is no fleet {name!r}: {scenario.relative_to(paths.CHECKOUT)} does not exist"
            )
        platforms = yaml.safe_load(scenario.read_text(encoding="utf-8"))["platforms"]
        forced = os.environ.get("DEBIAN")
        hosts = tuple(
            Host(
                name=platform["name"],
                debian=forced or str(platform["debian"]),
                groups=tuple(platform.get("groups", ())),
                machine=bool(platform.get("machine", False)),
                variables=dict(platform.get("variables", {})),
            )
            for platform in platforms
        )
        pulled = [platform["pulls"] for platform in platforms if platform.get("pulls")]
        return cls(name, hosts, {True: "reference_api"}.get(pulled[0], pulled[0]) if pulled else "")

    @property
    def registry(self) -> bool:
        return bool(self.example)

    @property
    def all_names(self) -> list[str]:
        return [host.name for host in self.hosts] + (["registry-1"] if self.registry else [])

    def addresses(self) -> dict[str, str]:
        subnet = network.ensure(self.name)
        first = int(subnet.network_address) + network.FIRST_HOST
        return {
            name: str(ipaddress.IPv4Address(first + number)) for number, name in enumerate(self.all_names)
        }

    def up(self) -> dict[str, str]:
        """Boot what is not running and return the addresses by host name."""
        _allow_many_hosts()
        make = {False: images.base_image, True: machines.image}
        kinds = sorted({(host.machine, host.debian) for host in self.hosts})
        made = {(machine, debian): make[machine](debian) for machine, debian in kinds}
        image = {host.name: made[host.machine, host.debian] for host in self.hosts}
        if self.registry:
            image["registry-1"] = images.registry_image()
        addresses = self.addresses()
        running = self._running()
        # A host that an earlier run left running, but not well, is booted anew.
        missing = [
            name for name in self.all_names if name not in running or not _answers(addresses[name], 10)
        ]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda name: self._boot(name, image[name], addresses), missing))
            list(pool.map(self._wait, self.all_names, addresses.values()))
        return addresses

    def down(self) -> None:
        """Remove every object of this fleet, whatever state an earlier run left it in."""
        mine = ["--filter", f"label={paths.label(self.name)}"]
        # A container that stops while podman is about to stop it is an error to podman, the first time.
        for last in (False, False, True):
            containers = podman("ps", "--all", "--quiet", *mine).split()
            if containers:
                podman("rm", "--force", "--volumes", "--time", "2", *containers, check=last)
        volumes = podman("volume", "ls", "--quiet", *mine).split()
        if volumes:
            podman("volume", "rm", "--force", *volumes)
        network.remove(self.name)
        # A shared connection to a host that is gone would fail the first task on its successor.
        shutil.rmtree(paths.control_sockets(self.name), ignore_errors=True)

    def shell(self, host: str, command: list[str]) -> int:
        """Open a root shell on a host (or run a command there); returns its exit code."""
        if host not in self.all_names:
            raise LabError(f"no host {host!r} in fleet {self.name!r}; it has {', '.join(self.all_names)}")
        argv = self.argv(host, *(command or ["bash", "--login"]), interactive=True)
        return subprocess.run(argv, check=False).returncode

    def argv(self, host: str, *command: str, interactive: bool = False) -> list[str]:
        """What runs a command as root on a host."""
        terminal = interactive and os.isatty(0)
        if self._is_machine(host):
            options = ["-t"] if terminal else [] if interactive else ["-n"]
            options += ["-o", f"UserKnownHostsFile={paths.known_hosts(self.name)}", "-o", "LogLevel=ERROR"]
            options += ["-o", "IdentitiesOnly=yes", "-i", str(private_key())]
            login = f"{images.USER}@{self.addresses()[host]}"
            return ["ssh", *options, login, "sudo", "--", shlex.join(command)]
        options = (["--interactive"] if interactive else []) + (["--tty"] if terminal else [])
        return ["podman", "exec", *options, self.container(host), *command]

    def reboot(self, host: str) -> None:
        podman("kill", "--signal", "KILL", self.container(host))
        podman("start", self.container(host))
        self._wait(host, self.addresses()[host])

    def container(self, host: str) -> str:
        return paths.object_name(self.name, host)

    def _is_machine(self, name: str) -> bool:
        return any(host.name == name and host.machine for host in self.hosts)

    def host_key(self, host: str) -> str:
        """A host's public SSH key, read over podman, which is trusted."""
        where = f"{machines.SEED if self._is_machine(host) else ''}/etc/ssh/ssh_host_ed25519_key.pub"
        return podman("exec", self.container(host), "cat", where)

    def _running(self) -> set[str]:
        mine = podman_json("ps", "--filter", f"label={paths.label(self.name)}")
        names = {name for container in mine for name in container["Names"]}
        return {host for host in self.all_names if self.container(host) in names}

    def _boot(self, name: str, image: str, addresses: dict[str, str]) -> None:
        container = self.container(name)
        podman("rm", "--force", "--volumes", container, check=False)
        label = f"--label={paths.label(self.name)}"
        machine = self._is_machine(name)
        # A nested engine cannot put its overlays on the overlay that is this host's root.
        disks = [machines.STATE] if machine else ["/var/lib/docker", "/var/lib/containerd"]
        mounts = []
        for path in disks:
            volume = f"{container}-{Path(path).name}"
            podman("volume", "rm", "--force", volume, check=False)
            podman("volume", "create", label, volume)
            mounts += ["--volume", f"{volume}:{path}"]
        podman(
            *("run", "--detach", "--name", container, "--hostname", name, *host_options()),
            label,
            # Else every host derives its machine id, and from that its MAC address, from the same virtual machine.
            *("--env", f"container_uuid={uuid.uuid4()}"),
            *("--network", paths.object_name(self.name), "--ip", addresses[name]),
            *(f"--add-host={other}:{address}" for other, address in addresses.items() if other != name),
            *mounts,
            *("--volume", f"{public_key()}:{machines.KEY if machine else LAB_KEY}:ro"),
            image,
            *(["sh", machines.RUN] if machine else []),
        )
        if not machine:
            podman("exec", "--interactive", container, "sh", "-ec", AUTHORIZE)

    def _wait(self, name: str, address: str) -> None:
        if not _answers(address, BOOT_DEADLINE):
            log = podman("logs", "--tail", "20", self.container(name), check=False)
            raise LabError(f"{name} ({address}) did not answer on port 22 within {BOOT_DEADLINE} s:\n{log}")


def _answers(address: str, deadline: float) -> bool:
    """Whether sshd greets within so many seconds."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return True
        except OSError:
            pass
        time.sleep(0.2)
    return False


# Each systemd takes about ten inotify instances, and a machine gives 128 to a user: enough for a dozen hosts, no more.
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_WANTED = 4096


def _allow_many_hosts() -> None:
    if int(INOTIFY_INSTANCES.read_text(encoding="ascii")) < INOTIFY_WANTED:
        try:
            INOTIFY_INSTANCES.write_text(str(INOTIFY_WANTED), encoding="ascii")
        except OSError as error:
            raise LabError(
                f"cannot raise fs.inotify.max_user_instances to {INOTIFY_WANTED}: {error}; run as root"
            ) from None


LAB_KEY = f"/home/{images.USER}/.ssh/lab.pub"
# sshd wants the file to be the user's own, which a mounted one is not.
AUTHORIZE = f"cd /home/{images.USER}/.ssh && install -o {images.USER} -g {images.USER} -m 0600 lab.pub authorized_keys"


def private_key() -> Path:
    """Return the lab's own SSH key, made at first use."""
    key = paths.private_directory(paths.STATE) / "ssh_key"
    # Hosts boot side by side, and each wants it.
    with open(key.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hardened-lab", "-f", str(key)])
    return key


def public_key() -> Path:
    return private_key().with_suffix(".pub")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles need to know about a host, read from files: no subprocess, no name server, no third party."""

from __future__ import annotations

import array
import contextlib
import json
import os
import platform
import re
import socket
import struct
import time
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # pragma: no cover - the controller may lack it, hosts have it
    fcntl = None  # type: ignore[assignment]

# "config-files" and "half-installed" are not there; pending triggers only mean that work is left for dpkg.
_PRESENT = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_CERTIFICATE = re.compile(
    r"-----BEGIN (CERTIFICATE|TRUSTED CERTIFICATE|X509 CRL)-----.*?-----END \1-----\n?", re.DOTALL
)
_OWN_FILE_SYSTEMS = (
    "/boot",
    "/home",
    "/opt",
    "/srv",
    "/tmp",  # noqa: S108 - reported, not used
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/hardened",
    "/var/lib/postgresql",
    "/var/log",
    "/var/tmp",  # noqa: S108 - reported, not used
)
_HYPERVISORS = {
    "QEMU": "kvm",
    "KVM": "kvm",
    "Amazon EC2": "amazon",
    "VMware": "vmware",
    "VirtualBox": "oracle",
    "innotek": "oracle",
    "Xen": "xen",
    "Microsoft Corporation": "microsoft",
    "Google": "google",
    "Hetzner": "kvm",
    "DigitalOcean": "kvm",
    "OpenStack": "kvm",
}
_SIOCGIFCONF = 0x8912
_RECORD_LIMIT = 4 * 1024 * 1024


def collect(
    packages: list[str], certificates: list[str], records: bool, root: Path = Path("/")
) -> dict[str, Any]:
    """Every fact at once; `root` lets a test describe a host with a directory."""
    release = _os_release(root)
    status = _read(root / "var/lib/dpkg/status")
    installed = _installed(status)
    addresses, primary = _addresses(root)
    parsed, unreadable = records_of(root / "var/lib/hardened") if records else ({}, {})
    hostname = socket.gethostname()
    facts: dict[str, Any] = {
        "distribution": release.get("ID", ""),
        "release": release.get("VERSION_CODENAME", ""),
        "version": release.get("VERSION_ID", ""),
        "architecture": _architecture(status),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "hostname": hostname.split(".", 1)[0],
        "fqdn": _fqdn(root, hostname),
        "addresses": addresses,
        "address": primary,
        "memory_mb": _memory_mb(root),
        "cpus": _cpus(),
        "disk_free_mb": _disk_free_mb(root),
        "time": time.time(),
        "packages": {name: installed[name] for name in packages if name in installed}
        if packages
        else installed,
        "packages_complete": not packages,
        "apt_lists": any((root / "var/lib/apt/lists").glob("*_Packages*")),
        "certificates": _certificates(root, certificates),
        "records": parsed,
        "records_unreadable": unreadable,
        "config_sets": _config_sets(root / "var/lib/hardened/config_set"),
        "cgroup_version": 2 if (root / "sys/fs/cgroup/cgroup.controllers").exists() else 1,
        "virtualization": _virtualization(root),
        "service_manager": "systemd" if (root / "run/systemd/system").is_dir() else "unknown",
        "systemd_version": _major(installed.get("systemd", "")),
    }
    return facts


def installed_packages(root: Path = Path("/")) -> dict[str, str]:
    """Name to version of what dpkg has installed."""
    return _installed(_read(root / "var/lib/dpkg/status"))


def _installed(status: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for stanza in status.split("\n\n"):
        state = _field(stanza, "Status").rpartition(" ")[2]
        if state in _PRESENT:
            # The same name in a second architecture is the same for a role.
            found.setdefault(_field(stanza, "Package"), _field(stanza, "Version"))
    return found


def _field(stanza: str, name: str) -> str:
    """One field of a dpkg stanza; plain searching is four times as fast as a regular expression here."""
    start = 0 if stanza.startswith(name + ": ") else stanza.find(f"\n{name}: ") + 1
    if start == 0 and not stanza.startswith(name + ": "):
        return ""
    end = stanza.find("\n", start)
    return stanza[start + len(name) + 2 : end if end >= 0 else None]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _os_release(root: Path) -> dict[str, str]:
    text = _read(root / "etc/os-release") or _read(root / "usr/lib/os-release")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def _architecture(status: str) -> str:
    """Debian's own name (amd64, arm64), as package sources spell it."""
    start = status.find("Package: dpkg\n")
    return _field(status[start : start + 4096], "Architecture") if start >= 0 else platform.machine()


def _fqdn(root: Path, hostname: str) -> str:
    """From /etc/hosts only: a name server that does not answer would cost seconds."""
    if "." in hostname:
        return hostname
    for line in _read(root / "etc/hosts").splitlines():
        names = line.split("#", 1)[0].split()[1:]
        if hostname in names:
            return next((name for name in names if name.startswith(hostname + ".")), hostname)
    return hostname


def _addresses(root: Path) -> tuple[list[str], str]:
    """Global addresses, the one of the default route's interface first."""
    by_interface = _ipv4() + _ipv6(root)
    default = _default_interface(root)
    order = sorted(by_interface, key=lambda pair: pair[0] != default)
    addresses = list(dict.fromkeys(address for _interface, address in order))
    return addresses, addresses[0] if addresses else ""


def _ipv4() -> list[tuple[str, str]]:
    if fcntl is None:
        return []
    size, names = 40, array.array("B", bytes(40 * 256))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            request = struct.pack("iL", len(names), names.buffer_info()[0])
            used = struct.unpack("iL", fcntl.ioctl(probe.fileno(), _SIOCGIFCONF, request))[0]
        except OSError:
            return []
    raw = names.tobytes()[:used]
    pairs = []
    for start in range(0, len(raw), size):
        interface = raw[start : start + 16].split(b"\0", 1)[0].decode(errors="replace")
        address = socket.inet_ntoa(raw[start + 20 : start + 24])
        if not address.startswith(("127.", "169.254.")):
            pairs.append((interface.split(":", 1)[0], address))
    return pairs


def _ipv6(root: Path) -> list[tuple[str, str]]:
    pairs = []
    for line in _read(root / "proc/net/if_inet6").splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[3] == "00":
            pairs.append((fields[5], socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[0]))))
    return pairs


def _default_interface(root: Path) -> str:
    for line in _read(root / "proc/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000":
            return fields[0]
    return ""


def _memory_mb(root: Path) -> int:
    """What the host may use: the smaller of its memory and its control group's limit."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    total = int(match.group(1)) * 1024 if match else 0
    for name in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _read(root / name).strip()
        if limit.isdigit():
            total = min(total, int(limit)) if total else int(limit)
    return total // (1024 * 1024)


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - not Linux
        return os.cpu_count() or 1


def _disk_free_mb(root: Path) -> dict[str, int]:
    free: dict[str, int] = {}
    for name in ("/",) + _OWN_FILE_SYSTEMS:
        path = root / name.lstrip("/")
        try:
            if name == "/" or os.path.ismount(path):
                status = os.statvfs(path)
                free[name] = status.f_bavail * status.f_frsize // (1024 * 1024)
        except OSError:
            continue
    return free


def _certificates(root: Path, paths: list[str]) -> dict[str, str]:
    """Only certificate blocks: a key that somebody put into the same file stays on the host."""
    found: dict[str, str] = {}
    for name in paths:
        text = _read(root / name.lstrip("/"))
        blocks = "".join(match.group(0) for match in _CERTIFICATE.finditer(text))
        if blocks:
            found[name] = blocks
    return found


def _config_sets(directory: Path) -> dict[str, str]:
    """The configuration sets that are in place, each with the digest of what it was made of."""
    sets = {}
    for path in sorted(directory.glob("*/manifest.json")):
        # A set that was in place once is named also when its record is damaged; config_set says so itself.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sets[path.parent.name] = ""
            sets[path.parent.name] = str(json.loads(path.read_bytes()).get("digest", ""))
    return sets


def records_of(directory: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The records of a directory by name, and why others cannot be read."""
    parsed: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            if path.stat().st_size > _RECORD_LIMIT:
                raise ValueError("larger than 4 MiB")
            parsed[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            unreadable[path.stem] = f"not JSON at line {error.lineno}, column {error.colno}"
        except (OSError, ValueError) as error:
            unreadable[path.stem] = (error.strerror or "") if isinstance(error, OSError) else str(error)
    return parsed, unreadable


def _virtualization(root: Path) -> str:
    """systemd's names: none, a container manager's, or a hypervisor's."""
    manager = _read(root / "run/systemd/container").strip()
    if manager:
        return manager
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    identity = " ".join(
        _read(root / "sys/class/dmi/id" / name).strip()
        for name in ("sys_vendor", "product_name", "board_vendor", "bios_vendor")
    )
    for marker, name in _HYPERVISORS.items():
        if marker in identity:
            return name
    return (
        "vm-other" if re.search(r"^flags\s*:.*\bhypervisor\b", _read(root / "proc/cpuinfo"), re.M) else "none"
    )


def _major(version: str) -> int:
    match = re.match(r"(?:\d+:)?(\d+)", version)
    return int(match.group(1)) if match else 0

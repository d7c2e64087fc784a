# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of its own for each fleet, with a subnet that nothing else on the machine uses."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import zlib
from collections.abc import Iterator

from . import paths
from .podman import LabError, podman, podman_json, run

POOL = ipaddress.IPv4Network("10.213.0.0/16")
FIRST_HOST = 10


def _used() -> Iterator[ipaddress.IPv4Network]:
    destinations = [
        subnet["subnet"] for network in podman_json("network", "ls") for subnet in network.get("subnets", [])
    ]
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]"):
        if route["dst"] != "default" and route.get("type", "unicast") == "unicast":
            destinations.append(route["dst"])
    for destination in destinations:
        network = ipaddress.ip_network(destination, strict=False)
        if isinstance(network, ipaddress.IPv4Network):
            yield network


def ensure(fleet: str) -> ipaddress.IPv4Network:
    """Return the fleet's subnet, creating its network on the first call."""
    name = paths.object_name(fleet)
    for network in podman_json("network", "ls"):
        if network["name"] == name:
            return ipaddress.IPv4Network(network["subnets"][0]["subnet"])
    with open(paths.private_directory(paths.CACHE) / "network.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subnet = _free(name)
        podman(
            "network",
            "create",
            "--label",
            paths.label(fleet),
            "--subnet",
            str(subnet),
            name,
        )
    return subnet


def _free(name: str) -> ipaddress.IPv4Network:
    candidates = list(POOL.subnets(new_prefix=24))
    # Start where the name points, so that a fleet keeps its addresses from one run to the next.
    start = zlib.crc32(name.encode()) % len(candidates)
    used = list(_used())
    for candidate in candidates[start:] + candidates[:start]:
        if not any(candidate.overlaps(other) for other in used):
            return candidate
    raise LabError(f"no free /24 left in {POOL}; remove old lab networks ('podman network ls')")


def remove(fleet: str) -> None:
    podman("network", "rm", "--force", paths.object_name(fleet), check=False)

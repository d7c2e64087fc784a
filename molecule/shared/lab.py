# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line: boot a fleet, remove it, look into it. `make lab` and Molecule both come through here."""

from __future__ import annotations

import argparse
import shlex
import sys
import time

from labkit import inventory, registry
from labkit.fleet import LAB, Fleet
from labkit.podman import LabError


def up(fleet: Fleet) -> None:
    """Boot the fleet, with its registry and the example's image, and write its inventory."""
    started = time.monotonic()
    addresses = fleet.up()
    variables = registry.prepare(fleet, addresses) if fleet.registry else {}
    target = inventory.write(fleet, addresses, variables)
    names = " ".join(f"{name}={address}" for name, address in addresses.items())
    print(f"fleet {fleet.name} is up after {time.monotonic() - started:.0f} s: {names}\ninventory: {target}")


def env(fleet: Fleet) -> None:
    """Print shell assignments for tools that look at the fleet from outside."""
    variables = inventory.read(fleet.name)
    edge = next(host.name for host in fleet.hosts if "edge" in host.groups)
    values = {
        "EDGE_ADDRESS": fleet.addresses()[edge],
        "DOMAIN": variables["hardened_domain"],
        "CA_FILE": inventory.directory(fleet.name) / ".pki" / "ca.crt",
    }
    for name, value in values.items():
        print(f"{name}={shlex.quote(str(value))}")


def push(fleet: Fleet, version: str) -> None:
    """Build a version of the example API, push it to the fleet's registry, sign it, and print its reference."""
    print(registry.push(fleet, fleet.addresses()[registry.HOST], version))


def reboot(fleet: Fleet, host: str) -> None:
    """Restart a host, disks kept, as after a power cut, and wait until it answers."""
    fleet.reboot(host)


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__)
    parser.add_argument("--fleet", default=LAB, help="the lab (default) or the name of a Molecule scenario")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help=up.__doc__)
    verbs.add_parser("down", help="Remove the fleet's hosts and network.")
    verbs.add_parser("env", help=env.__doc__)
    shell = verbs.add_parser("shell", help="Open a root shell on a host, or run a command there.")
    shell.add_argument("host")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    image = verbs.add_parser("push", help=push.__doc__)
    image.add_argument("version")
    restart = verbs.add_parser("reboot", help=reboot.__doc__)
    restart.add_argument("host")
    arguments = parser.parse_args()
    try:
        fleet = Fleet.load(arguments.fleet)
        if arguments.verb == "shell":
            return fleet.shell(arguments.host, arguments.command)
        if arguments.verb == "push":
            push(fleet, arguments.version)
            return 0
        if arguments.verb == "reboot":
            reboot(fleet, arguments.host)
            return 0
        {"up": up, "down": Fleet.down, "env": env}[arguments.verb](fleet)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

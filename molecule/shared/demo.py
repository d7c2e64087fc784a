# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: boot the lab, deploy the example API onto it, and show how to use what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

from lab import up
from labkit import inventory, paths, usage
from labkit.fleet import LAB, Fleet
from labkit.podman import LabError

DEPLOY = [".venv/bin/ansible-playbook", "-i", "inventories/lab", "playbooks/deploy.yml"]
PLAY = re.compile(r"^(?:\x1b\[[0-9;]*m)*PLAY \[(?P<name>[^]]+)\]")


class Stages:
    """What happened, and how long each part took."""

    def __init__(self) -> None:
        self._begun: list[tuple[str, float]] = []

    def begin(self, name: str) -> None:
        self._begun.append((name, time.monotonic()))

    def table(self) -> str:
        ends = [start for _name, start in self._begun[1:]] + [time.monotonic()]
        rows = [f"{end - start:6.1f} s  {name}" for (name, start), end in zip(self._begun, ends, strict=True)]
        total = f"{ends[-1] - self._begun[0][1]:6.1f} s  in all"
        return "\n".join([*rows, total])


def deploy(stages: Stages) -> None:
    """Run deploy.yml as an operator would, and take the time of its plays."""
    print(f"\n$ {' '.join(DEPLOY)}", flush=True)
    environment = {
        **os.environ,
        "ANSIBLE_FORCE_COLOR": str(int(sys.stdout.isatty())),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(DEPLOY, cwd=paths.CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True)
    for line in process.stdout or ():
        if play := PLAY.match(line):
            stages.begin(play["name"])
        print(line, end="", flush=True)
    if process.wait():
        raise LabError("deploy.yml failed; what it said last is why. Mend it and run `make demo` again.")


def main() -> int:
    fleet, stages = Fleet.load(LAB), Stages()
    try:
        stages.begin("Boot the lab")
        up(fleet)
        deploy(stages)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\nWhat took how long:\n{stages.table()}")
    edge = next(host.name for host in fleet.hosts if "edge" in host.groups)
    domain = str(inventory.read(LAB)["hardened_domain"])
    print(usage.text(inventory.secrets_file(LAB), domain, fleet.addresses()[edge]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

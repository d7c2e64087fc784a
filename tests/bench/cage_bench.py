# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cage costs: the example API in it, beside the same image in a plain `docker run`, by turns, on one host.

Needs the hosts of the scenario `app`, as `make bench-cage` boots them.
    PYTHONPATH=molecule/shared .venv/bin/python tests/bench/cage_bench.py --rounds 5 --seconds 5
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from dataclasses import dataclass, field
from statistics import median

from labkit.fleet import Fleet
from labkit.podman import podman

HOST = "app-2"
PORT = 18500
# What the application cannot start without; the rest is the cage.
NEEDED = ("--env-file=", "--mount=", "--add-host=", "--user=")
# As the engine would run it by its own defaults.
DEFAULTS = ("--security-opt=seccomp=builtin", "--security-opt=no-new-privileges=false")
START = f"""
import http.client, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
made = time.monotonic()
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", {PORT}, timeout=1)
        connection.request("GET", "/healthz")
        if connection.getresponse().status == 200:
            break
    except OSError:
        pass
    time.sleep(0.005)
print(made - began, time.monotonic() - began)
"""


@dataclass
class Way:
    """One way to run the image."""

    name: str
    options: list[str]
    made: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


def on(container: str, *command: str) -> str:
    return podman("exec", container, *command)


def ways(container: str) -> tuple[str, list[Way]]:
    """The image, and the two ways: what the serving slot's unit says, and as little of it as will do."""
    slot = json.loads(on(container, "cat", "/var/lib/hardened/release.json"))["slot"]
    unit = on(container, "cat", f"/etc/systemd/system/hardened-app@{slot}.service")
    started = re.search(r"^ExecStart=/usr/bin/docker run (.*?)^\n?ExecStop=", unit, re.DOTALL | re.MULTILINE)
    if not started:
        raise SystemExit("the slot's unit does not start a container as it used to")
    words = shlex.split(started[1].replace("\\\n", " "))
    image = next(word for word in words if "@sha256:" in word)
    slots_own = ("--detach", "--name=", "--restart=", "--publish=")
    cage = [word for word in words if word.startswith("--") and not word.startswith(slots_own)]
    plain = [word for word in cage if word.startswith(NEEDED)]
    return image, [Way("plain", [*plain, *DEFAULTS]), Way("cage", cage)]


def measure(container: str, image: str, way: Way, seconds: int) -> None:
    publish = ("--detach", "--name=bench", f"--publish=127.0.0.1:{PORT}:8000")
    on(container, "docker", "rm", "--force", "bench")
    made, ready = on(
        container, "python3", "-c", START, "docker", "run", *publish, *way.options, image
    ).split()
    load = ("h2load", "--h1", "--clients=8", "--threads=1", f"--duration={seconds}", "--warm-up-time=1")
    said = on(container, *load, f"http://127.0.0.1:{PORT}/healthz")
    rate = re.search(r"([\d.]+) req/s", said)
    if not rate or "0 failed, 0 errored" not in said:
        raise SystemExit(said)
    way.made.append(float(made))
    way.ready.append(float(ready))
    way.rates.append(float(rate[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    container = Fleet.load("app").container(HOST)
    on(container, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "nghttp2-client")
    image, both = ways(container)
    try:
        for _round in range(options.rounds):
            for way in both:
                measure(container, image, way, options.seconds)
            both.reverse()
    finally:
        on(container, "docker", "rm", "--force", "bench")
    both.sort(key=lambda way: way.name, reverse=True)
    print(
        f"{'':6} {'docker run s':>13} {'answers after s':>16} {'requests/s':>11}   median of {options.rounds}, (least, most)"
    )
    for way in both:
        cells = [f"{median(each):.3f} ({min(each):.3f}, {max(each):.3f})" for each in (way.made, way.ready)]
        print(
            f"{way.name:6} {cells[0]} {cells[1]} {median(way.rates):.0f} ({min(way.rates):.0f}, {max(way.rates):.0f})"
        )
    plain, cage = both
    print(f"the cage answers {median(cage.ready) - median(plain.ready):+.3f} s later", end=", ")
    print(f"and serves {median(cage.rates) / median(plain.rates):.2f} of the requests")


if __name__ == "__main__":
    main()

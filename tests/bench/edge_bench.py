# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the edge, with the firewall and without, beside a plain nginx and beside Debian's rule set as it is.

All four are on one host, in front of the same application, and take turns, so that whatever else the machine does meets all
of them. That host has a core to itself; client and application have another one. Needs the hosts of the scenario
`reverse_proxy`, as `make bench-edge` boots them.
    PYTHONPATH=molecule/shared .venv/bin/python tests/bench/edge_bench.py --debian 13 --rounds 3 --seconds 5
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import yaml
from labkit import inventory, paths
from labkit.fleet import Fleet

FLEET = "reverse_proxy"
SCENARIO = paths.CHECKOUT / "molecule" / FLEET
BODY = json.dumps(
    {"name": "an item", "content": "A line of text, as somebody would write it.", "tags": ["a", "b"]}
)
# On one connection, for which h2load has no successor.
REQUESTS = 1_000_000
# What somebody writes who follows nginx's documentation: TLS, HTTP/2, kept connections to the application, the usual log.
PLAIN = """
user www-data;
worker_processes auto;
pid /run/bench-{name}.pid;
error_log /run/bench-{name}.log;
{modules}
events {{ worker_connections 1024; }}
http {{
    access_log /run/bench-{name}.access;
    keepalive_requests {requests};
    upstream app {{
        {servers}
        keepalive 128;
    }}
    server {{
        listen {port} ssl http2;
        server_name {domain};
        ssl_certificate /etc/hardened/pki/edge.crt;
        ssl_certificate_key /etc/hardened/pki/edge.key;
        {firewall}
        location / {{
            proxy_pass https://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_ssl_certificate /etc/hardened/pki/host.crt;
            proxy_ssl_certificate_key /etc/hardened/pki/host.key;
            proxy_ssl_trusted_certificate /etc/hardened/pki/ca.crt;
            proxy_ssl_verify on;
            proxy_ssl_verify_depth 2;
            proxy_ssl_name app.{internal_domain};
            proxy_ssl_server_name on;
            # The stand-in sends what would make nginx look elsewhere.
            proxy_ignore_headers X-Accel-Redirect;
        }}
    }}
}}
"""
# Without owasp-crs.load: it has a directive that this engine does not know.
STOCK_RULES = """
Include /etc/nginx/modsecurity.conf
SecRuleEngine On
SecAuditLog /run/bench-stock.audit
SecAuditLogStorageDir /run
Include /etc/modsecurity/crs/crs-setup.conf
Include /usr/share/modsecurity-crs/rules/*.conf
"""
# Of the main process and its children: proportional, so that what they share counts once.
MEMORY = "for p in {pid} $(pgrep -P {pid}); do cat /proc/$p/smaps_rollup; done | awk '/^Pss:/ {{ sum += $2 }} END {{ print sum }}'"


@dataclass(frozen=True)
class Load:
    """`options` are h2load's."""

    name: str
    path: str
    status: str
    options: tuple[str, ...] = ()


LOADS = (
    Load("GET", "/v1/items", "200"),
    Load("POST", "/write", "201", ("--data=/run/bench-body.json", "--header=content-type: application/json")),
)


@dataclass
class Figures:
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Lab:
    edge: str
    app: str
    apps: tuple[str, ...]
    fleet: Fleet
    addresses: dict[str, str]

    def run(self, host: str, script: str, given: str = "") -> str:
        argv = ["podman", "exec", "--interactive", self.fleet.container(host), "sh", "-euc", script]
        done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{host}: {script}\n{done.stdout}{done.stderr}")
        return done.stdout

    def mode(self, mode: str) -> None:
        """Set the firewall's mode as an operator would."""
        network = self.addresses[self.app].rpartition(".")[0] + ".0/24"
        variables = {
            "reverse_proxy_waf_mode": mode,
            "reverse_proxy_rate_limit_exempt": [network],
            "reverse_proxy_keepalive_requests": REQUESTS,
        }
        argv = [paths.VENV_BIN / "ansible-playbook", "-i", inventory.directory(FLEET), SCENARIO / "waf.yml"]
        more = ["--limit", self.edge, "-e", json.dumps(variables)]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(paths.CHECKOUT / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            [*map(str, argv), *more], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stdout + done.stderr)

    def pin(self) -> None:
        for host, core in ((self.edge, 0), *((app, 1) for app in self.apps)):
            self.run(
                host,
                f"for p in /proc/[0-9]*; do taskset -acp {core} ${{p#/proc/}} > /dev/null 2>&1 || :; done",
            )


def prepare(lab: Lab, domain: str, internal_domain: str) -> None:
    """Bring the two others into place beside the edge, and h2load onto the application's host."""
    lab.run(
        lab.app,
        "command -v h2load > /dev/null || { apt-get update && apt-get install -y nghttp2-client; } > /dev/null 2>&1",
    )
    lab.run(lab.app, "cat > /run/bench-body.json", BODY)
    lab.run(lab.edge, "cat > /run/bench-stock.rules", STOCK_RULES)
    firewall = "modsecurity on; modsecurity_rules_file /run/bench-stock.rules;"
    modules = "include /etc/nginx/modules-enabled/*.conf;"
    for name, port, given in (("plain", 8444, ("", "")), ("stock", 8443, (modules, firewall))):
        text = PLAIN.format(
            name=name,
            requests=REQUESTS,
            port=port,
            servers=" ".join(f"server {lab.addresses[app]}:8441;" for app in lab.apps),
            domain=domain,
            internal_domain=internal_domain,
            modules=given[0],
            firewall=given[1],
        )
        lab.run(lab.edge, f"cat > /run/bench-{name}.conf", text)
        lab.run(
            lab.edge,
            f"nginx -q -c /run/bench-{name}.conf 2> /run/bench-{name}.start || {{ cat /run/bench-{name}.start >&2; exit 1; }}",
        )


def clean(lab: Lab) -> None:
    lab.run(
        lab.edge, "for f in /run/bench-*.pid; do [ ! -e $f ] || kill $(cat $f); done; rm -rf /run/bench-*"
    )


def measure(lab: Lab, load: Load, url: str, port: int, seconds: int) -> tuple[float, float, float]:
    """Requests per second, and the time of the middle one and of the slowest but one per cent, in ms."""
    lab.pin()
    connect = f"{lab.addresses[lab.edge]}:{port}"
    options = " ".join(f"'{option}'" for option in load.options)
    lab.run(
        lab.app,
        f"rm -f /run/bench.log; taskset -c 1 h2load -c 4 -m 8 -D {seconds} --warm-up-time 1 --log-file=/run/bench.log"
        f" --connect-to={connect} {options} '{url}{load.path}' > /run/bench.out 2>&1",
    )
    rows = [line.split("\t") for line in lab.run(lab.app, "cat /run/bench.log").splitlines()]
    if strange := {status for _start, status, _time in rows} - {load.status}:
        sys.exit(f"{url}{load.path}, port {port}: answered with {', '.join(strange)}, not {load.status}")
    begun = min(int(start) for start, _status, _time in rows) + 1_000_000
    spent = sorted(int(time) / 1000 for start, _status, time in rows if int(start) >= begun)
    ended = max(int(start) for start, _status, _time in rows)
    cuts = quantiles(spent, n=100)
    return len(spent) / ((ended - begun) / 1e6), cuts[49], cuts[98]


def rounds(lab: Lab, domain: str, number: int, seconds: int) -> dict[tuple[str, str], Figures]:
    ways = (
        ("plain nginx", 8444, "/run/bench-plain.pid", ""),
        ("here, firewall off", 443, "/run/nginx.pid", "off"),
        ("here, enforcing", 443, "/run/nginx.pid", "enforce"),
        ("rule set as it is", 8443, "/run/bench-stock.pid", ""),
    )
    figures: dict[tuple[str, str], Figures] = {}
    for _round in range(number):
        for name, port, pid, mode in ways:
            if mode:
                lab.mode(mode)
            for load in LOADS:
                rate, middle, slowest = measure(lab, load, f"https://{domain}:{port}", port, seconds)
                found = figures.setdefault((load.name, name), Figures())
                found.rates.append(rate)
                found.p50.append(middle)
                found.p99.append(slowest)
                found.memory.append(int(lab.run(lab.edge, MEMORY.format(pid=f"$(cat {pid})"))) / 1024)
    return figures


def report(figures: dict[tuple[str, str], Figures]) -> None:
    print(
        f"{'':<26}{'requests/s':>11}{'of plain':>9}{'p50 ms':>8}{'p99 ms':>8}{'MB':>6}  (requests/s of each round)"
    )
    for (load, name), found in sorted(figures.items(), key=lambda item: item[0][0]):
        rate = median(found.rates)
        share = rate / median(figures[load, "plain nginx"].rates)
        every = " ".join(f"{rate:.0f}" for rate in found.rates)
        print(
            f"{load:<6}{name:<20}{rate:>11,.0f}{share:>9.2f}{median(found.p50):>8.1f}{median(found.p99):>8.1f}"
            f"{median(found.memory):>6.0f}  ({every})"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debian", choices=("12", "13"), default="13")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each load, after one of warming up")
    options = parser.parse_args()
    generated = Path(inventory.directory(FLEET), "generated.yml").read_text(encoding="utf-8")
    hosts = yaml.safe_load(generated)["all"]["hosts"]
    addresses = {name: variables["ansible_host"] for name, variables in hosts.items()}
    apps = tuple(name for name in addresses if name.startswith("app-"))
    lab = Lab(f"edge-{options.debian}", f"app-{options.debian}", apps, Fleet.load(FLEET), addresses)
    settings = inventory.read(FLEET)
    clean(lab)
    prepare(lab, settings["hardened_domain"], settings["hardened_internal_domain"])
    try:
        report(rounds(lab, settings["hardened_domain"], options.rounds, options.seconds))
    finally:
        clean(lab)
    return 0


if __name__ == "__main__":
    sys.exit(main())

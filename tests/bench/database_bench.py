# SPDX-License-Identifier: GPL-3.0-or-later
"""What TLS, SCRAM, certificates and the audit log cost: pgbench against the role's PostgreSQL, beside a plain one, by turns.

The plain one is a second cluster on the same host, as Debian makes it, that trusts the client's address and speaks no TLS. Needs the hosts
of the scenario `postgres`, as `make bench-database` boots them.
    PYTHONPATH=molecule/shared .venv/bin/python tests/bench/database_bench.py --rounds 5 --seconds 10
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from statistics import median

from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import podman

CLIENT = "client-13"
PKI = "/etc/hardened/pki"
BENCH = "/usr/lib/postgresql/17/bin/pgbench"


@dataclass
class Way:
    name: str
    options: str
    persistent: list[float] = field(default_factory=list)
    per_transaction: list[float] = field(default_factory=list)


def prepare(client: Client, host: str) -> list[Way]:
    """Both clusters with the tables of pgbench, and how the client reaches each."""
    here, there = client.addresses[host], client.addresses[CLIENT]
    version = {"db-12": "15", "db-13": "17"}[host]
    own = f"postgresql://app@{here}/app?sslmode=verify-full&sslrootcert={PKI}/ca.crt"
    plain = f"postgresql://app@{here}:5433/app?sslmode=disable"
    script = f"""
set -eu
pg_lsclusters --no-header | grep -q bench || {{
    pg_createcluster {version} bench --port 5433 -- --data-checksums --auth-local=peer
    echo "listen_addresses = '{here}'" > /etc/postgresql/{version}/bench/conf.d/bench.conf
    echo 'host all all {there}/32 trust' >> /etc/postgresql/{version}/bench/pg_hba.conf
    pg_ctlcluster {version} bench start
}}
nft insert rule inet hardened_firewall input tcp dport 5433 accept 2>/dev/null || true
cd /
setpriv --reuid=postgres --regid=postgres --init-groups psql -XAtq --port=5433 \\
    -c 'CREATE ROLE app LOGIN' -c 'CREATE DATABASE app OWNER app' 2>/dev/null || true
"""
    client.on(host, "sh", "-c", script)
    client.on(
        CLIENT, "sh", "-c", f"test -x {BENCH} || apt-get install --yes --quiet postgresql-17 >/dev/null 2>&1"
    )
    make = f"{BENCH} --initialize --scale=10 --quiet"
    migrator = f"sslcert={PKI}/database-migrator.crt&sslkey={PKI}/database-migrator.key"
    with_password(client, f"{make} '{own.replace('app@', 'app_migrator@')}&{migrator}'")
    with_password(client, f"{make} '{plain}'")
    pair = f"sslcert={PKI}/database.crt&sslkey={PKI}/database.key"
    return [Way("plain", f"'{plain}'"), Way("role", f"'{own}&{pair}'")]


def with_password(client: Client, command: str) -> str:
    """The password is no argument, not even of a test."""
    return podman(
        *("exec", "--interactive", client.fleet.container(CLIENT)),
        *("sh", "-c", f"IFS= read -r PGPASSWORD; export PGPASSWORD; {command} 2>&1"),
        stdin=client.secrets["postgres_app_password"] + "\n",
    )


def rate(client: Client, way: Way, seconds: int, *options: str) -> float:
    load = f"{BENCH} --no-vacuum --client=8 --jobs=2 --time={seconds} {' '.join(options)} {way.options}"
    said = with_password(client, load)
    found = re.search(r"tps = ([\d.]+)", said)
    if not found or "number of failed transactions: 0" not in said:
        raise SystemExit(said)
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--host", default="db-13")
    options = parser.parse_args()
    client = Client(Fleet.load("postgres"))
    both = prepare(client, options.host)
    for _round in range(options.rounds):
        for way in both:
            way.persistent.append(rate(client, way, options.seconds))
            way.per_transaction.append(rate(client, way, options.seconds, "--connect"))
        both.reverse()
    both.sort(key=lambda way: way.name)
    print(
        f"{'':6} {'transactions/s':>22} {'with a connection each':>24}   median of {options.rounds}, (least, most)"
    )
    for way in both:
        cells = [
            f"{median(r):.0f} ({min(r):.0f}, {max(r):.0f})" for r in (way.persistent, way.per_transaction)
        ]
        print(f"{way.name:6} {cells[0]:>22} {cells[1]:>24}")
    plain, role = both
    print(
        f"the role's serves {median(role.persistent) / median(plain.persistent):.2f} of the transactions",
        end=", ",
    )
    print(f"with a connection each {median(role.per_transaction) / median(plain.per_transaction):.2f}")


if __name__ == "__main__":
    main()

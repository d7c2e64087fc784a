# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a database is away, and what is lost of it, in the two accidents that backups are for.

1. A power cut under load, then back to the second before: restore.yml, with every row of before counted.
2. A repository that cannot be reached under load: what waits, what the service notices, how long catching up takes.
Needs the hosts of the scenario `backup`, as `make bench-recovery` boots them.
    PYTHONPATH=molecule/shared .venv/bin/python tests/bench/recovery_bench.py --megabytes 1024 --seconds 600
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import LabError

VERSIONS = {"db-12": "15", "db-13": "17"}
REPOSITORY = "/var/lib/hardened-backup"
# pgbench's own invariant: what was moved is the same in all four tables.
SUMS = (
    "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches), "
    "(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history)"
)
COUNT = "SELECT count(*) FROM pgbench_history WHERE mtime {compared} timestamptz '{moment}'"
# A transaction takes its time at its beginning, and is there from its end on.
IN_FLIGHT = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Database:
    client: Client
    host: str

    def sh(self, script: str) -> str:
        return self.client.on(self.host, "sh", "-euc", script).strip()

    def as_postgres(self, command: str) -> str:
        return self.sh(f"cd /; setpriv --reuid=postgres --regid=postgres --init-groups {command}")

    def sql(self, statement: str) -> str:
        return self.as_postgres(f'psql -XAtq -d bench -c "{statement}"')

    def pgbench(self, options: str) -> str:
        return self.as_postgres(f"/usr/lib/postgresql/{VERSIONS[self.host]}/bin/pgbench {options} bench 2>&1")

    def verb(self, name: str, *arguments: str) -> str:
        done = self.client.playbook(f"../molecule/backup/{name}.yml", "--limit", self.host, *arguments)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
        return " ".join(done.stdout.split())

    def repository(self, command: str) -> None:
        if self.host == "db-12":
            self.sh(f"chmod {'0' if command == 'stop' else '750'} {REPOSITORY}")
        else:
            self.client.on("repo-13", "systemctl", command, "hardened-backup-repository.service")

    def rows_before(self, moment: datetime) -> int:
        return self.rows("<=", moment - IN_FLIGHT)

    def rows(self, compared: str, moment: datetime) -> int:
        return int(self.sql(COUNT.format(compared=compared, moment=moment.isoformat())))


def fill(database: Database, megabytes: int) -> None:
    database.as_postgres("psql -XAtq -c 'DROP DATABASE IF EXISTS bench' -c 'CREATE DATABASE bench'")
    # A branch of pgbench's is 15 MB.
    database.pgbench(f"--initialize --quiet --scale={max(1, megabytes // 15)}")
    # Times with a zone, or they could not be compared with a target.
    database.sql("ALTER TABLE pgbench_history ALTER COLUMN mtime TYPE timestamptz")


def load(database: Database, seconds: int) -> str:
    return database.pgbench(f"--client=4 --jobs=2 --no-vacuum --time={seconds}")


def wait_until_answers(database: Database) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 300:
        try:
            database.sql("SELECT 1")
            return time.monotonic() - began
        except LabError:
            time.sleep(0.2)
    raise SystemExit("PostgreSQL does not answer")


def power_cut(database: Database, seconds: int) -> None:
    database.verb("backup", "-e", "type=full")
    size = int(database.sql("SELECT pg_database_size('bench')")) >> 20
    database.sh(
        "systemd-run --quiet --collect --unit=bench-load --uid=postgres "
        f"/usr/lib/postgresql/{VERSIONS[database.host]}/bin/pgbench --client=4 --jobs=2 --no-vacuum --time={seconds + 60} bench"
    )
    time.sleep(seconds)
    target = datetime.fromisoformat(database.sql("SELECT clock_timestamp()"))
    time.sleep(1)
    database.client.fleet.reboot(database.host)
    recovered = wait_until_answers(database)
    before = database.rows_before(target)
    began = time.monotonic()
    database.verb("restore", "-e", f"target_time={target.isoformat()}", "-e", f"confirm={database.host}")
    took = time.monotonic() - began
    after = database.rows_before(target)
    late = database.rows(">", target + IN_FLIGHT)
    sums = set(database.sql(SUMS).split("|"))
    print(
        f"{database.host}: {size} MB, {seconds} s of load, power cut: answers {recovered:.1f} s after its boot; back to the second before in "
        f"{took:.1f} s (recovery time); {after} of {before} rows, {late} of later, balances {'equal' if len(sums) == 1 else sums}"
    )
    if after != before or late or len(sums) != 1:
        raise SystemExit("rows were lost")


def outage(database: Database, seconds: int) -> None:
    tps = re.compile(r"tps = ([\d.]+)")
    quiet = tps.search(load(database, 30))
    database.repository("stop")
    try:
        away = load(database, seconds)
    finally:
        database.repository("start")
    waiting = database.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")
    began = time.monotonic()
    while (
        database.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") != "0"
        and time.monotonic() - began < 600
    ):
        time.sleep(0.5)
    caught_up = time.monotonic() - began
    alerts = database.sh("journalctl --identifier=hardened-backup --output=cat --no-pager --since=-1h")
    drill = re.search(r"[^.]*every block of[^.]*", database.verb("dr_test"))
    during = tps.search(away)
    print(
        f"{database.host}: repository away for {seconds} s: {during and during[1]} transactions/s, before {quiet and quiet[1]}; "
        f"{waiting} pieces of log waited, caught up in {caught_up:.1f} s; alert {'raised' if 'backup_archive_lag' in alerts else 'NOT RAISED'}; "
        f"failed transactions: {(re.search(r'number of failed transactions: (.*)', away) or [''])[0]}; drill after it: {drill and drill[0].strip()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--host", default="db-13", choices=sorted(VERSIONS))
    options = parser.parse_args()
    database = Database(Client(Fleet.load("backup")), options.host)
    fill(database, options.megabytes)
    power_cut(database, options.seconds)
    outage(database, options.seconds)


if __name__ == "__main__":
    main()

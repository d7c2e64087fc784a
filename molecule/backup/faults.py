# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario, in this order: a repository that is gone, restores, a power cut, drills, damage."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from labkit import plays
from labkit.client import Client

HERE = "../molecule/backup"
CONVERGE = f"{HERE}/converge.yml"
REPOSITORY = "/var/lib/hardened-backup"


def verb(database: Any, name: str, *arguments: str) -> str:
    done = plays.play(database.client, f"{HERE}/{name}.yml", "--limit", database.host, *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    # Ansible breaks long messages into lines.
    return " ".join(done.stdout.split())


def refused(database: Any, name: str, *arguments: str) -> str:
    words = plays.refused(database.client, f"{HERE}/{name}.yml", "--limit", database.host, *arguments)
    return " ".join(words.split())


def now(database: Any) -> str:
    return str(
        database.sql(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'"
        )
    )


def test_a_backup_can_be_asked_for(database: Any) -> None:
    before = database.record["label"]
    assert "were added to the repository" in verb(database, "backup", "-e", "type=full")
    assert database.record["label"] != before
    assert database.record["type"] == "full"
    assert "is no kind of backup" in refused(database, "backup", "-e", "type=half")


def test_another_key_is_refused(database: Any) -> None:
    before = database.run("cat", "/run/hardened-backup/key.conf")
    said = plays.refused(
        database.client, CONVERGE, "--limit", database.host, "-e", "backup_passphrase=" + "Zq7+" * 12
    )
    assert "encrypted by another passphrase" in " ".join(said.split())
    assert database.run("cat", "/run/hardened-backup/key.conf") == before


def break_repository(database: Any) -> None:
    """Take away what the database writes to: a server, or a directory of its own."""
    local = database.repository == database.host
    database.there(f"chmod 0 {REPOSITORY}" if local else "systemctl stop hardened-backup-repository.service")


def test_a_repository_that_is_gone_costs_nothing_but_an_alert(database: Any) -> None:
    break_repository(database)
    try:
        database.sql("CREATE TABLE IF NOT EXISTS gone (id serial, at timestamptz DEFAULT now())")
        for _turn in range(3):
            database.sql("INSERT INTO gone DEFAULT VALUES")
            database.sql("SELECT pg_switch_wal()")
        raised = {"event": "backup_archive_lag", "state": "raised"}
        plays.eventually(lambda: any(raised.items() <= alert.items() for alert in database.alerts()), 90)
        assert database.sql("SELECT count(*) FROM gone") == "3"
        assert re.search(r"unable to|refused|timeout|denied", refused(database, "backup"))
        assert any(alert["event"] == "backup_failed" for alert in database.alerts())
    finally:
        database.there(f"chmod 750 {REPOSITORY}; systemctl start hardened-backup-repository.service")
    cleared = {"event": "backup_archive_lag", "state": "cleared"}
    plays.eventually(lambda: any(cleared.items() <= alert.items() for alert in database.alerts()), 180)
    database.archived()
    assert database.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") in (
        "0",
        "1",
    )
    database.sql("DROP TABLE gone")


def test_a_mistake_is_undone(database: Any) -> None:
    database.sql("CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id")
    time.sleep(1)
    before = now(database)
    time.sleep(1)
    database.sql("DELETE FROM ledger WHERE id > 10")
    database.sql("SELECT pg_switch_wal()")
    database.archived()
    started = database.run(
        "systemctl", "show", "--value", "--property=ExecMainStartTimestampMonotonic", "postgresql@*"
    )
    said = refused(database, "restore", "-e", f"target_time={before}")
    assert f"To do it: -e confirm={database.host}" in said
    for wrong in ("2001-01-01T00:00:00+00:00", "2099-01-01T00:00:00+00:00"):
        said = refused(database, "restore", "-e", f"target_time={wrong}", "-e", f"confirm={database.host}")
        assert "is outside of what the archive holds" in said
    assert "is no time" in refused(
        database, "restore", "-e", "target_time=yesterday", "-e", f"confirm={database.host}"
    )
    assert "has no offset" in refused(database, "restore", "-e", "target_time=2026-01-01T00:00:00")
    assert started == database.run(
        "systemctl", "show", "--value", "--property=ExecMainStartTimestampMonotonic", "postgresql@*"
    )
    said = verb(database, "restore", "-e", f"target_time={before}", "-e", f"confirm={database.host}")
    assert database.sql("SELECT count(*) FROM ledger") == "1000"
    kept = re.search(r"(/var/lib/postgresql/\d+/main[.]before-[0-9TZ]+)", said)
    assert kept
    database.run("test", "-d", f"{kept[1]}/base")
    database.run("rm", "-r", kept[1])
    database.sql("DROP TABLE ledger")
    verb(database, "backup", "-e", "type=full")


def test_a_restore_that_fails_leaves_what_there_was(database: Any) -> None:
    database.sql("CREATE TABLE later AS SELECT 1 AS id")
    database.archived()
    # Within what the archive holds, yet after all that was written: PostgreSQL does not find the end that it is told.
    said = refused(
        database, "restore", "-e", f"target_time={now(database)}", "-e", f"confirm={database.host}"
    )
    assert "the data is what it was, PostgreSQL runs again" in said
    plays.eventually(lambda: database.sql("SELECT count(*) FROM later") == "1", 30)
    database.sql("DROP TABLE later")
    database.run("sh", "-c", "rm -r /var/lib/postgresql/*/main.failed-*")
    database.archived()


def test_after_a_power_cut_backups_go_on(client: Client, database: Any) -> None:
    database.sql("CREATE TABLE cut AS SELECT generate_series(1, 1000) AS id")
    client.fleet.reboot(database.host)
    plays.eventually(
        lambda: (
            "1000"
            in database.run(
                "sh",
                "-c",
                "setpriv --reuid=postgres --init-groups --regid=postgres "
                "psql -XAtqd app -c 'SELECT count(*) FROM cut' || true",
            )
        ),
        90,
    )
    database.archived()
    verb(database, "backup", "-e", "type=incr")
    database.sql("DROP TABLE cut")


def test_the_latest_backup_can_be_restored_elsewhere(client: Client, database: Any) -> None:
    said = verb(database, "dr_test")
    assert "and every block of 3 databases was read" in said
    record = json.loads(database.run("cat", "/var/lib/hardened/drill.json"))
    assert record["recovery_point"] <= 60
    assert record["failures"] == []
    assert set(record["steps"]) == {"restore", "replay", "every row", "every index", "every block"}
    host = {"db-12": "drill-12", "db-13": "drill-13"}[database.host]
    left = client.on(
        host,
        "sh",
        "-c",
        "ls -A /var/lib/hardened-drill; ls /etc/credstore.encrypted /etc/hardened/drill.* 2>/dev/null || true",
    )
    assert "data" not in left.split()
    assert "drill" not in left
    running = client.on(host, "sh", "-c", "pgrep --count --exact postgres || true")
    assert running.strip() == "0"


def test_a_drill_that_takes_too_long_fails(database: Any) -> None:
    assert "a recovery time of" in refused(database, "dr_test", "-e", '{"backup_recovery_time_max": 1}')


def test_another_debian_s_host_is_refused(database: Any) -> None:
    other = {"db-12": "drill-13", "db-13": "drill-12"}[database.host]
    assert "can be read by the same PostgreSQL only" in refused(
        database, "dr_test", "-e", f"backup_drill_host={other}"
    )


def test_a_damaged_backup_is_noticed(client: Client, database: Any) -> None:
    verb(database, "backup", "-e", "type=full")
    place = f"{REPOSITORY}/backup/{database.host}/{database.record['label']}"
    bundle = database.there(f"find {place} -type f -name '[0-9]*' -size +100k | head -n 1").strip()
    spoil = f"f = open('{bundle}', 'r+b'); f.seek(60000); f.write(b'damaged' * 10)"
    client.on(database.repository, "python3", "-c", spoil)
    assert re.search(r"pgbackrest: .*ERROR", refused(database, "dr_test"))
    # The next one is whole again.
    verb(database, "backup", "-e", "type=full")
    verb(database, "dr_test")

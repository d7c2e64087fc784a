# SPDX-License-Identifier: GPL-3.0-or-later
"""That backups are made, arrive, and are of use to nobody without the key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from labkit import plays
from labkit.client import Client
from labkit.podman import LabError

REPOSITORY = "/var/lib/hardened-backup"


@pytest.fixture
def planted(database: Any) -> Iterator[str]:
    """A row that cannot be compressed away, in the log and in the table's own file."""
    marker = f"planted{time.time_ns()}"
    database.sql(f"CREATE TABLE planted AS SELECT '{marker}' AS note")
    database.sql("CHECKPOINT")
    yield marker
    database.sql("DROP TABLE planted")


def test_there_is_a_backup(database: Any) -> None:
    stanza = json.loads(database.pgbackrest("info", "--output=json"))[0]
    assert stanza["status"]["code"] == 0
    assert stanza["cipher"] == "aes-256-cbc"
    assert database.record["label"] == stanza["backup"][-1]["label"]


def test_the_log_arrives(database: Any) -> None:
    before = int(database.sql("SELECT archived_count FROM pg_stat_archiver"))
    database.archived()
    plays.eventually(lambda: int(database.sql("SELECT archived_count FROM pg_stat_archiver")) > before, 10)


def test_the_repository_has_no_plaintext(database: Any, planted: str) -> None:
    database.run("systemctl", "start", "hardened-backup@incr.service")
    database.archived()
    here = database.run("sh", "-c", f"grep -rlaF {planted} /var/lib/postgresql/*/main | wc -l")
    assert int(here) >= 2, "the row is neither in the data nor in the log, so that this would prove nothing"
    there = database.there(f"grep -rlaF {planted} {REPOSITORY} | wc -l")
    assert int(there) == 0
    files = database.there(f"find {REPOSITORY} -type f -newermt '-1 day' | wc -l")
    assert int(files) > 10
    # Each file of pgBackRest's that is encrypted by OpenSSL's scheme says so at its very beginning.
    heads = database.there(f"find {REPOSITORY} -type f -exec head -c 8 {{}} ';' -exec echo ';'")
    assert set(heads.split()) == {"Salted__"}


def test_the_repository_s_host_has_no_key(client: Client) -> None:
    key = client.secrets["backup_passphrase"]
    found = client.on("repo-13", "sh", "-c", f"grep -rlaF {key} /etc /var /run /root /home | wc -l")
    assert int(found) == 0
    become = "setpriv --reuid=postgres --regid=postgres --init-groups"
    ask = f"{become} pgbackrest --config=/etc/hardened/backup-repository.conf --stanza=db-13 info"
    said = client.on("repo-13", "sh", "-c", f"{ask} 2>&1 | tr -cd '[:print:]'")
    assert "status: ok" not in said
    assert "full backup" not in said


def test_the_key_is_in_memory_only(client: Client, database: Any) -> None:
    key = client.secrets["backup_passphrase"]
    database.run("journalctl", "--sync")
    found = database.run("sh", "-c", f"grep -rlaF {key} /etc /var /root /home /tmp | wc -l")
    assert int(found) == 0
    words = database.run(
        "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"
    )
    # Searching for it is a command too.
    assert key not in words
    assert database.run("stat", "-c", "%a %U %G", "/run/hardened-backup/key.conf").split() == [
        "640",
        "root",
        "postgres",
    ]


def test_a_host_gets_at_its_own_backups_only(client: Client) -> None:
    command = "setpriv --reuid=postgres --regid=postgres --init-groups pgbackrest"
    said = client.on("db-13", "sh", "-c", f"{command} --stanza=another info 2>&1 || true")
    assert "access denied" in said


def test_nobody_gets_in_without_a_certificate_of_the_environment(client: Client) -> None:
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -subj /CN=db-13 -days 1"
    )
    command = "setpriv --reuid=postgres --regid=postgres --init-groups pgbackrest --stanza=db-13 info"
    ask = f"{command} --repo1-host-cert-file=/tmp/other/other.crt --repo1-host-key-file=/tmp/other/other.key"
    own = "install -d -o postgres /tmp/other && cd /tmp/other && setpriv --reuid=postgres --clear-groups"
    said = client.on(
        "db-13", "sh", "-c", f"{own} {make} 2>/dev/null && chmod 600 other.key && {ask} 2>&1 || true"
    )
    assert "full backup" not in said
    assert "status: ok" not in said
    assert "full backup" in client.on("db-13", "sh", "-c", command)


def test_the_repository_cannot_be_reached_from_elsewhere(client: Client, database: Any) -> None:
    assert client.reach(None, database.repository, 8432) == "TimeoutError"


def test_who_makes_backups_may_do_nothing_else(database: Any) -> None:
    for sql in (
        "SELECT FROM pg_authid",
        "CREATE TABLE public.another (id int)",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ):
        with pytest.raises(LabError, match=r"denied|superuser"):
            database.sql(f"SET SESSION AUTHORIZATION hardened_backup; {sql}")


def test_nothing_is_wrong_now(database: Any) -> None:
    database.run("systemctl", "start", "hardened-backup-watch.service")
    assert json.loads(database.run("cat", "/run/hardened-backup-alerts.json")) == {}


def test_the_timers_run(database: Any) -> None:
    listed = database.run("systemctl", "list-timers", "--no-pager", "--output=json", "hardened-backup-*")
    assert {timer["unit"] for timer in json.loads(listed) if timer["next"]} == {
        "hardened-backup-full.timer",
        "hardened-backup-differential.timer",
        "hardened-backup-watch.timer",
    }

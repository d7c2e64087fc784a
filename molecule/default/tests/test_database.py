# SPDX-License-Identifier: GPL-3.0-or-later
"""The database as whoever has got into the application's container finds it, what the collector hears of that, and the data's verbs."""

from __future__ import annotations

import json
import time

import pytest
from labkit import plays
from labkit.client import Client

HOST = "app-1"
NOT_THE_PASSWORD = {"password": "not-it"}  # pragma: allowlist secret
ATTEMPT = """
import os, psycopg
options = dict(
    host=os.environ["DATABASE_HOST"], hostaddr=os.environ["DATABASE_HOSTADDR"], port=os.environ["DATABASE_PORT"],
    dbname=os.environ["DATABASE_NAME"], user=os.environ["DATABASE_USER"], sslmode="verify-full",
    sslrootcert=os.environ["DATABASE_SSLROOTCERT"], password=open("/run/secrets/DATABASE_PASSWORD").read(), connect_timeout=5)
options.update({changes!r})
try:
    with psycopg.connect(**options) as connection:
        print("done", connection.execute({sql!r}).fetchall())
except psycopg.Error as error:
    print("refused", error)
"""


def attempt(client: Client, sql: str = "SELECT 1", **changes: str) -> str:
    return client.in_app(HOST, ATTEMPT.format(sql=sql, changes=changes)).strip()


def heard(client: Client, *words: str) -> int:
    """How many of the collector's lines from the database's host have all the words."""
    found = client.on("log-1", "sh", "-c", f"grep -rhF '{words[0]}' /var/log/hardened || true")
    return sum(all(word in line for word in ("db-1", *words)) for line in found.splitlines())


def test_the_application_gets_in(client: Client) -> None:
    assert attempt(client) == "done [(1,)]"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"sslmode": "disable"}, "no pg_hba.conf entry", id="no-tls"),
        pytest.param(
            {"ssl_max_protocol_version": "TLSv1.2"}, "could not accept SSL connection", id="tls-1.2"
        ),
        pytest.param(
            {"sslcert": "/x", "sslkey": "/x"}, "requires a valid client certificate", id="no-certificate"
        ),
        pytest.param({"dbname": "postgres"}, "no pg_hba.conf entry", id="another-database"),
        pytest.param({"user": "postgres"}, "no pg_hba.conf entry", id="superuser"),
        pytest.param({"user": "app_migrator"}, "password authentication failed", id="migrator"),
        pytest.param({"user": "app_alternate"}, "authentication failed", id="the-login-that-rests"),
        pytest.param(NOT_THE_PASSWORD, "password authentication failed", id="password"),
    ],
)
def test_who_may_not_get_in_does_not_and_is_heard_of(
    client: Client, changes: dict[str, str], words: str
) -> None:
    before = heard(client, words)
    assert attempt(client, **changes).startswith("refused")
    plays.eventually(lambda: heard(client, words) > before, 5)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE mine (id int)",
        "DROP TABLE items",
        "TRUNCATE items",
        "ALTER TABLE items DISABLE TRIGGER ALL",
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SET pgaudit.log = 'none'",
        "ALTER SYSTEM SET pgaudit.log = 'none'",
        "SET ROLE app_owner",
        "SET SESSION AUTHORIZATION postgres",
        "SELECT * FROM hardened.sentinel",
    ],
)
def test_what_the_application_may_not_do_is_refused_and_heard_of(client: Client, sql: str) -> None:
    marker = f"marker{time.time_ns()}"
    assert attempt(client, f"{sql} /* {marker} */").startswith("refused")
    plays.eventually(lambda: heard(client, "STATEMENT", marker) > 0, 5)


def test_a_change_is_heard_of(client: Client, api_key: str) -> None:
    before = heard(client, "AUDIT: SESSION", "WRITE,INSERT")
    created = client.request("POST", "/v1/items", headers={"X-API-Key": api_key}, body={"name": "audited"})
    assert created.status == 201
    plays.eventually(lambda: heard(client, "AUDIT: SESSION", "WRITE,INSERT") > before, 5)


def test_a_renewed_certificate_reaches_the_container(client: Client) -> None:
    renew = "cd /etc/hardened/pki && cp -a database.crt database.crt.new && mv database.crt.new database.crt"
    stamp = "import os; print(os.stat('/run/secrets/database.pem').st_mtime_ns)"
    before = client.in_app(HOST, stamp)
    client.on(HOST, "sh", "-c", renew)
    plays.eventually(lambda: client.in_app(HOST, stamp) != before, 10)
    assert attempt(client) == "done [(1,)]"


def test_the_data_can_be_backed_up_and_restored_elsewhere(client: Client, api_key: str) -> None:
    done = plays.play(client, "backup.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        client.request("POST", "/v1/items", headers={"X-API-Key": api_key}, body={"name": "late"}).status
        == 201
    )
    done = plays.play(client, "dr_test.yml")
    assert done.returncode == 0, done.stdout[-3000:]
    record = json.loads(client.on("db-1", "cat", "/var/lib/hardened/drill.json"))
    assert record["failures"] == []
    assert record["recovery_point"] < 60
    assert "To do it: -e confirm=db-1" in " ".join(plays.refused(client, "restore.yml").split())

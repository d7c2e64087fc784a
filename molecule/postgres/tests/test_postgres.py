# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as its application, its neighbours and an intruder see it."""

from __future__ import annotations

import functools
import shlex
import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml
from labkit import inventory, plays
from labkit.fleet import Fleet

FLEET = Fleet.load("postgres")
ADDRESSES = FLEET.addresses()
SERVERS = [host.name for host in FLEET.hosts if "database" in host.groups]
CLIENT = "client-13"
PKI = "/etc/hardened/pki"
CA = f"{PKI}/ca.crt"

Completed = subprocess.CompletedProcess[str]


def run(host: str, *argv: str, stdin: str = "") -> Completed:
    """A command as root, over the way in that Ansible takes too."""
    generated = inventory.directory(FLEET.name) / "generated.yml"
    way = yaml.safe_load(generated.read_text(encoding="utf-8"))["all"]["vars"]
    shared = (
        f"-o ControlMaster=auto -o ControlPersist=60 -o ControlPath={way['ansible_control_path_dir']}/t-%C"
    )
    options = shlex.split(
        f"{way['ansible_ssh_common_args']} {shared} -i {way['ansible_ssh_private_key_file']}"
    )
    command = ["ssh", *options, f"{way['ansible_user']}@{ADDRESSES[host]}", f"sudo -n -- {shlex.join(argv)}"]
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)


class Secret(str):
    """Not shown when a test fails."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


@functools.cache
def secret() -> str:
    view = ["ansible-vault", "view", str(inventory.secrets_file(FLEET.name))]
    shown = subprocess.run(view, text=True, capture_output=True, check=True).stdout
    return Secret(yaml.safe_load(shown)["postgres_app_password"])


@pytest.fixture(scope="session")
def password() -> str:
    return secret()


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connect(
    server: str, password: str, sql: str = "SELECT 1", client: str = CLIENT, **changes: str
) -> Completed:
    """One statement over the network, as the application would send it."""
    options = {"host": server, "dbname": "app", "user": "app", "sslmode": "verify-full", "sslrootcert": CA}
    options |= {"sslcert": f"{PKI}/database.crt", "sslkey": f"{PKI}/database.key"}
    options |= {"connect_timeout": "5", "gssencmode": "disable", **changes}
    conninfo = " ".join(f"{name}={value}" for name, value in options.items())
    script = 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql -XAtq -v ON_ERROR_STOP=1 -c "$1" "$2"'
    return run(client, "sh", "-c", script, "sh", sql, conninfo, stdin=f"{password}\n")


def by_certificate(server: str, login: str, sql: str, certificate: str = "", **changes: str) -> Completed:
    """One statement by a login that has a certificate and no password."""
    pair = f"{PKI}/{certificate or login}"
    return connect(
        server,
        "",
        sql,
        user=login,
        sslcert=f"{pair}.crt",
        sslkey=f"{pair}.key",
        require_auth="none",
        **changes,
    )


def as_migrator(server: str, sql: str) -> Completed:
    pair = {"sslcert": f"{PKI}/database-migrator.crt", "sslkey": f"{PKI}/database-migrator.key"}
    return connect(server, secret(), sql, user="app_migrator", require_auth="scram-sha-256", **pair)


def migrate(server: str, sql: str) -> str:
    done = as_migrator(server, sql)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def logged(server: str, *words: str) -> None:
    """Expect one line of the server's log, soon, with all the words."""

    def found() -> bool:
        command = ("journalctl", "--identifier=postgres", "--lines=100", "--output=cat", "--facility=local0")
        lines = run(server, *command).stdout.splitlines()
        return any(all(word in line for word in words) for line in lines)

    plays.eventually(found, 5)


@pytest.fixture
def made(server: str) -> Iterator[None]:
    """A table as a migration makes it."""
    migrate(server, "CREATE TABLE made (id serial PRIMARY KEY, note text)")
    yield
    migrate(server, "DROP TABLE made")


def as_owner(server: str, sql: str, database: str = "app") -> str:
    """Statements as the superuser over the local socket."""
    become = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
    done = run(server, *become, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, stdin=sql)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_application_connects_by_tls_1_3(server: str, password: str) -> None:
    # A session is only shown to its own login.
    who = "SELECT session_user, current_user, current_schemas(false)"
    how = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    done = connect(server, password, f"{who}; SET ROLE NONE; {how}")
    assert done.stdout.split() == ["app|app|{public}", "TLSv1.3"], done.stderr


def test_channel_binding_works(server: str, password: str) -> None:
    assert connect(server, password, channel_binding="require").returncode == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"sslmode": "disable"}, "no pg_hba.conf entry", id="plain"),
        pytest.param({"ssl_max_protocol_version": "TLSv1.2"}, "protocol version", id="tls-1.2"),
        pytest.param({"dbname": "postgres"}, "no pg_hba.conf entry", id="another-database"),
        pytest.param({"user": "postgres"}, "no pg_hba.conf entry", id="superuser"),
        pytest.param({"host": "elsewhere"}, "does not match host name", id="wrong-name"),
        pytest.param(
            {"sslrootcert": "/etc/ssl/certs/ssl-cert-snakeoil.pem"},
            "certificate verify failed",
            id="wrong-ca",
        ),
        pytest.param({"require_auth": "md5"}, "server requested SASL authentication", id="md5-downgrade"),
        pytest.param(
            {"sslcert": "/dev/null/none", "sslkey": "/dev/null/none"},
            "connection requires a valid client certificate",
            id="no-client-certificate",
        ),
        pytest.param(
            {"sslcert": f"{PKI}/host.crt", "sslkey": f"{PKI}/host.key"},
            # With the right password: the server does not tell a stranger which of the two was wrong.
            'password authentication failed for user "app"',
            id="another-host-s-certificate",
        ),
        pytest.param(
            {"sslcert": f"{PKI}/database-migrator.crt", "sslkey": f"{PKI}/database-migrator.key"},
            'password authentication failed for user "app"',
            id="another-login-s-certificate",
        ),
        pytest.param(
            {"user": "app_migrator"},
            'password authentication failed for user "app_migrator"',
            id="migrator-with-the-application-s-certificate",
        ),
        pytest.param({"user": "hardened_monitor"}, "no pg_hba.conf entry", id="monitor-from-afar"),
    ],
)
def test_refused(server: str, password: str, changes: dict[str, str], reason: str) -> None:
    done = connect(server, password, **{"hostaddr": ADDRESSES[server], **changes})
    assert done.returncode == 2
    assert reason in done.stderr


def test_wrong_password_is_refused_and_logged(server: str) -> None:
    marker = f"test{time.time_ns()}"
    done = connect(server, "not-the-password", application_name=marker)
    assert "password authentication failed" in done.stderr
    logged(server, 'FATAL:  password authentication failed for user "app"', ADDRESSES[CLIENT])


def test_a_certificate_of_another_authority_is_refused(server: str, password: str) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/other.key -out /root/other.crt -subj /CN=app -days 1"
    assert run(CLIENT, "sh", "-c", f"{make} && chmod 600 /root/other.key").returncode == 0
    done = connect(server, password, sslcert="/root/other.crt", sslkey="/root/other.key")
    assert done.returncode == 2
    assert "unknown ca" in done.stderr or "self-signed" in done.stderr or "certificate" in done.stderr
    logged(server, "could not accept SSL connection", "certificate verify failed")


def test_refused_from_elsewhere(server: str, password: str) -> None:
    other = next(name for name in SERVERS if name != server)
    done = connect(server, password, client=other)
    assert f'no pg_hba.conf entry for host "{ADDRESSES[other]}"' in done.stderr


def test_listens_on_its_address_only(server: str) -> None:
    sockets = run(
        server, "ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header"
    ).stdout.splitlines()
    assert [line.split()[3] for line in sockets if "postgres" in line] == [f"{ADDRESSES[server]}:5432"]


def test_every_password_is_a_scram_verifier(server: str) -> None:
    sql = "SELECT rolname, left(rolpassword, 19) FROM pg_authid WHERE rolpassword IS NOT NULL"
    assert as_owner(server, sql + " ORDER BY rolname").splitlines() == [
        f"{login}|SCRAM-SHA-256$4096:" for login in ("app", "app_migrator")
    ]


def test_password_is_nowhere_on_the_host(server: str, password: str) -> None:
    run(server, "journalctl", "--sync")
    places = [
        "/etc",
        "/var/lib/hardened",
        "/var/lib/postgresql",
        "/var/log",
        "/run/log",
        "/tmp",
        "/root",
        "/home",
    ]
    found = run(server, "grep", "-rlaF", "--file=-", *places, stdin=f"{password}\n")
    assert (found.stdout, found.returncode) == ("", 1), found.stderr


def test_public_may_nothing(server: str) -> None:
    sql = """
        BEGIN;
        CREATE ROLE intruder LOGIN;
        SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('intruder', datname, 'CONNECT, TEMPORARY');
        SELECT 'usage' WHERE has_schema_privilege('intruder', 'public', 'USAGE');
        SELECT 'create' WHERE has_schema_privilege('intruder', 'public', 'CREATE');
        ROLLBACK;
    """
    assert as_owner(server, sql) == ""


def test_what_a_migration_makes_belongs_to_the_owner(server: str, made: None) -> None:
    sql = "SELECT tableowner, schemaname FROM pg_tables WHERE tablename = 'made'"
    assert as_owner(server, sql) == "app_owner|public"


def test_the_application_works_with_what_a_migration_makes(server: str, password: str, made: None) -> None:
    sql = "INSERT INTO made (note) VALUES ('x'); UPDATE made SET note = 'y'; SELECT note FROM made; DELETE FROM made"
    done = connect(server, password, sql)
    assert done.stdout.strip() == "y", done.stderr


def test_both_logins_of_the_application_may_the_same(server: str, made: None) -> None:
    work = "INSERT INTO made (note) VALUES ('x'); SELECT count(*) > 0 FROM made"
    for login in ("app", "app_alternate"):
        assert as_owner(server, f"SET SESSION AUTHORIZATION {login}; {work}") == "t"


def test_the_login_that_rests_cannot_be_used(server: str, password: str) -> None:
    done = by_certificate(server, "app_alternate", "SELECT 1", "database")
    assert done.returncode == 2, done.stdout


def test_readers_read(server: str, made: None) -> None:
    read = by_certificate(server, "reader", "SELECT count(*) FROM made")
    assert read.stdout.strip() == "0", read.stderr
    for sql in (
        "INSERT INTO made (note) VALUES ('x')",
        "CREATE TABLE another (id int)",
        "SELECT FROM pg_authid",
    ):
        assert "permission denied" in by_certificate(server, "reader", sql).stderr
    refused = by_certificate(server, "reader", "SELECT 1", "watcher")
    assert 'certificate authentication failed for user "reader"' in refused.stderr


def test_watchers_see_the_server_and_no_rows(server: str, made: None) -> None:
    seen = by_certificate(server, "watcher", "SELECT count(*) > 0 FROM pg_stat_activity WHERE query <> ''")
    assert seen.stdout.strip() == "t", seen.stderr
    assert by_certificate(server, "watcher", "SELECT 1", dbname="postgres").returncode == 0
    assert "permission denied" in by_certificate(server, "watcher", "SELECT * FROM public.made").stderr


def test_a_migration_may_not_leave_its_database(server: str) -> None:
    for sql in (
        "CREATE ROLE another",
        "SELECT FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET pgaudit.log = none",
    ):
        done = as_migrator(server, sql)
        assert "permission denied" in done.stderr or "must be superuser" in done.stderr, sql


def test_changes_are_on_the_audit_log(server: str, password: str, made: None) -> None:
    marker = f"marker{time.time_ns()}"
    migrate(server, f"COMMENT ON TABLE made IS '{marker}'")
    logged(server, "user=app_migrator db=app", "AUDIT: SESSION", "DDL", marker)
    row = f"VALUES ('{marker}-row')"
    assert connect(server, password, "INSERT INTO made (note) " + row).returncode == 0
    logged(server, "user=app db=app", "AUDIT: SESSION", "WRITE,INSERT", marker)


def test_what_takes_too_long_is_ended(server: str, password: str) -> None:
    shown = connect(
        server,
        password,
        "SHOW statement_timeout; SHOW lock_timeout; SHOW idle_in_transaction_session_timeout",
    )
    assert shown.stdout.split() == ["1min", "10s", "1min"]


@pytest.fixture
def another_s(server: str) -> Iterator[None]:
    """A table that belongs to somebody else."""
    as_owner(server, "CREATE TABLE public.another_s (id int)")
    yield
    as_owner(server, "DROP TABLE public.another_s")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT rolpassword FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "CREATE ROLE another",
        "ALTER SYSTEM SET log_connections = off",
        "CREATE DATABASE another",
        "SELECT pg_read_file('/etc/passwd')",
        "SET log_statement = 'none'",
        "CREATE TABLE another (id int)",
        "CREATE TEMPORARY TABLE another (id int)",
        "CREATE SCHEMA another",
        "CREATE EXTENSION pgcrypto",
        "SET ROLE app_owner",
        "SET pgaudit.log = 'none'",
        "ALTER ROLE app SET pgaudit.log = 'none'",
        "ALTER ROLE app CONNECTION LIMIT -1",
        "DROP EXTENSION pgaudit",
        "SELECT * FROM another_s",
        "TRUNCATE another_s",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT pg_reload_conf()",
        "SELECT pg_ls_dir('/')",
    ],
)
def test_application_may_not(server: str, password: str, another_s: None, sql: str) -> None:
    marker = f"marker{time.time_ns()}"
    done = connect(server, password, f"{sql} /* {marker} */")
    assert done.returncode == 1, done.stdout
    logged(server, "user=app db=app", "ERROR:  ")
    logged(server, "STATEMENT:  ", marker)
    assert (
        "permission denied" in done.stderr
        or "must be superuser" in done.stderr
        or "not allowed" in done.stderr
        or "must be owner" in done.stderr
    )


def test_nothing_is_left_to_be_loaded(server: str) -> None:
    sql = """
        SELECT name FROM pg_settings WHERE pending_restart;
        SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL OR auth_method NOT IN ('peer', 'scram-sha-256', 'cert');
    """
    assert as_owner(server, sql) == ""


def test_data_has_checksums(server: str) -> None:
    assert as_owner(server, "SHOW data_checksums") == "on"


def test_a_renewed_certificate_is_loaded(server: str) -> None:
    loaded = as_owner(server, "SELECT pg_conf_load_time()")
    run(
        server,
        "sh",
        "-c",
        f"cd {CA.rpartition('/')[0]} && cp -a host.crt host.crt.new && mv host.crt.new host.crt",
    )
    deadline = time.monotonic() + 10
    while as_owner(server, "SELECT pg_conf_load_time()") == loaded:
        assert time.monotonic() < deadline
        time.sleep(0.3)

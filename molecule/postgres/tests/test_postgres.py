# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as its application, its neighbours and an intruder see it."""

from __future__ import annotations

import shlex
import subprocess
import time

import pytest
import yaml
from labkit import inventory
from labkit.fleet import Fleet

FLEET = Fleet.load("postgres")
ADDRESSES = FLEET.addresses()
SERVERS = [host.name for host in FLEET.hosts if "database" in host.groups]
CLIENT = "client-13"
CA = "/etc/hardened/pki/ca.crt"

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


@pytest.fixture(scope="session")
def password() -> str:
    view = ["ansible-vault", "view", str(inventory.secrets_file(FLEET.name))]
    shown = subprocess.run(view, text=True, capture_output=True, check=True).stdout
    return Secret(yaml.safe_load(shown)["postgres_app_password"])


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def connect(
    server: str, password: str, sql: str = "SELECT 1", client: str = CLIENT, **changes: str
) -> Completed:
    """One statement over the network, as the application would send it."""
    options = {"host": server, "dbname": "app", "user": "app", "sslmode": "verify-full", "sslrootcert": CA}
    options |= {"connect_timeout": "5", "gssencmode": "disable", **changes}
    conninfo = " ".join(f"{name}={value}" for name, value in options.items())
    script = 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql -XAtq -v ON_ERROR_STOP=1 -c "$1" "$2"'
    return run(client, "sh", "-c", script, "sh", sql, conninfo, stdin=f"{password}\n")


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
    assert done.stdout.split() == ["app|app_owner|{public}", "TLSv1.3"], done.stderr


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
    deadline = time.monotonic() + 5
    wanted = ('FATAL:  password authentication failed for user "app"', ADDRESSES[CLIENT])
    while True:
        log = run(
            server, "journalctl", "--identifier=postgres", "--lines=50", "--output=cat", "--facility=local0"
        ).stdout
        if any(all(word in line for word in wanted) for line in log.splitlines()):
            break
        assert time.monotonic() < deadline, log
        time.sleep(0.2)


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
    assert as_owner(server, sql) == "app|SCRAM-SHA-256$4096:"


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


def test_application_owns_what_it_makes_by_its_owner(server: str, password: str) -> None:
    sql = "CREATE TABLE made (id int); SELECT tableowner, schemaname FROM pg_tables WHERE tablename = 'made'; DROP TABLE made"
    done = connect(server, password, sql)
    assert done.stdout.strip() == "app_owner|public", done.stderr


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
    ],
)
def test_application_may_not(server: str, password: str, sql: str) -> None:
    done = connect(server, password, sql)
    assert done.returncode == 1
    assert (
        "permission denied" in done.stderr
        or "must be superuser" in done.stderr
        or "not allowed" in done.stderr
    )


def test_nothing_is_left_to_be_loaded(server: str) -> None:
    sql = """
        SELECT name FROM pg_settings WHERE pending_restart;
        SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL OR auth_method NOT IN ('peer', 'scram-sha-256');
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

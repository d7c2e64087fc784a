# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `init`: a directory that `validate` accepts as it is, or nothing at all and every reason."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

_ROOT = Path(__file__).resolve().parents[4]
_IMAGE = "registry.your-company.com/api@sha256:" + "0" * 64
_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGTYRhq010vFRd4OQOWMgwXGJSLmR
c8OJ/t1MOwmhoVOuscgk+TJWdsrIz7UpOGPeAUoPBu6JyfGRjD95HjeDfA==
-----END PUBLIC KEY-----
"""


class Beginning:
    def __init__(self, root: Path) -> None:
        self.root, self.directory = root, root / "production"
        self.password = secrets.token_urlsafe(24)
        (root / "password").write_text(self.password)
        (root / "cosign.pub").write_text(_KEY)
        (root / "empty.cfg").touch()

    def run(self, playbook: str, *arguments: str, password: bool = True) -> subprocess.CompletedProcess[str]:
        vault = ["--vault-password-file", str(self.root / "password")] if password else []
        # This checkout's own configuration has a password, that of the lab.
        config = {"ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg" if password else self.root / "empty.cfg")}
        paths = {"ANSIBLE_COLLECTIONS_PATH": str(_ROOT / ".cache/collections")}
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                str(_ROOT / "playbooks" / playbook),
                *vault,
                *arguments,
            ],
            cwd=self.root,
            env={**os.environ, **config, **paths, "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def init(self, *, password: bool = True, **given: Any) -> subprocess.CompletedProcess[str]:
        return self.run("init.yml", "-e", json.dumps(given), password=password)

    def secrets(self) -> dict[str, str]:
        vault = VaultLib([("default", VaultSecret(self.password.encode()))])
        clear = vault.decrypt((self.directory / ".secrets/secrets.yml").read_bytes())
        loaded: dict[str, str] = yaml.safe_load(clear)
        return loaded


@pytest.fixture
def beginning(tmp_path: Path) -> Beginning:
    return Beginning(tmp_path)


def test_what_it_makes_is_valid_as_it_is(beginning: Beginning) -> None:
    made = beginning.init(
        dir="production",
        domain="api.your-company.com",
        image=_IMAGE,
        image_key="cosign.pub",
        edge="edge-1=192.0.2.11,edge-2=192.0.2.12",
        app="app-1=192.0.2.21",
        database="db-1=192.0.2.31",
        logs="log-1=192.0.2.41",
        settings={"app_log_level": "ERROR"},
    )
    assert made.returncode == 0, made.stdout
    assert "Next: ansible-playbook -i " in made.stdout
    judged = beginning.run("validate.yml", "-i", str(beginning.directory))
    assert judged.returncode == 0, judged.stdout
    kept = beginning.secrets()
    assert set(kept) == {
        "app_secret_key",
        "app_admin_api_key",
        "postgres_app_password",
        "pki_ca_passphrase",
        "backup_passphrase",
        "hardened_fingerprint_key",
    }
    assert not [value for value in kept.values() if value in made.stdout]
    clear = "".join(path.read_text() for path in beginning.directory.rglob("*") if path.is_file())
    assert not [value for value in kept.values() if value in clear]
    entries = json.loads((beginning.directory / ".secrets/registry.json").read_text())["secrets"]
    assert {entry["name"]: entry["class"] for entry in entries}["postgres_app_password"] == "database"
    assert all(entry["created"] for entry in entries)
    assert (beginning.directory / ".secrets").stat().st_mode & 0o077 == 0
    # Nothing is due, and a plan of rotate.yml knows the age of each.
    plan = beginning.run("rotate.yml", "-i", str(beginning.directory), "-e", "overdue=true", "--check")
    assert plan.returncode == 0, plan.stdout
    assert "postgres_app_password (database): nothing to do, in use for 0 days" in " ".join(
        plan.stdout.split()
    )


def test_one_host_without_a_database(beginning: Beginning) -> None:
    made = beginning.init(
        dir="production",
        domain="api.your-company.com",
        image=_IMAGE,
        image_key="cosign.pub",
        edge="api-1=192.0.2.10",
        app="api-1",
        logs="api-1",
    )
    assert made.returncode == 0, made.stdout
    assert "postgres_app_password" not in beginning.secrets()
    judged = beginning.run("validate.yml", "-i", str(beginning.directory))
    assert judged.returncode == 0, judged.stdout


def test_all_that_is_wrong_is_said_at_once_and_nothing_made(beginning: Beginning) -> None:
    refused = beginning.init(
        dir="production",
        domain="https://api",
        image="api:latest",
        image_key="gone.pub",
        edge="edge-1=192.0.2.300,edge_1",
        app="edge-1=192.0.2.1",
        password=False,
    )
    said = " ".join(refused.stdout.split())
    assert refused.returncode != 0
    for part in (
        "domain: must be the public name",
        "image: must be named by its digest",
        "logs: must have a host",
        "edge: 192.0.2.300 is no address of edge-1",
        "edge: edge_1 is no host name",
        "app: edge-1 has two addresses",
        "image_key: gone.pub cannot be read",
        "vault password: must be given",
    ):
        assert part in said, (part, refused.stderr)
    assert sorted(path.name for path in beginning.root.iterdir()) == ["cosign.pub", "empty.cfg", "password"]


def test_what_is_there_is_not_overwritten_and_a_plan_makes_nothing(beginning: Beginning) -> None:
    given: dict[str, Any] = {
        "dir": "production",
        "domain": "api.your-company.com",
        "host": "api-1=192.0.2.10",
    }
    plan = beginning.run("init.yml", "--check", "-e", json.dumps(given))
    assert plan.returncode == 0, plan.stdout
    assert not beginning.directory.exists()
    beginning.directory.mkdir()
    (beginning.directory / "mine").write_text("mine")
    refused = beginning.init(**given)
    assert refused.returncode != 0 and "is there already" in " ".join(refused.stdout.split())
    assert [path.name for path in beginning.directory.iterdir()] == ["mine"]


def test_nothing_is_left_of_one_that_fails_half_way(beginning: Beginning) -> None:
    refused = beginning.run(
        "init.yml",
        "--vault-id",
        f"other@{beginning.root / 'password'}",
        "-e",
        json.dumps(
            {"dir": "production", "domain": "api.your-company.com", "host": "api-1", "vault_id": "third"}
        ),
    )
    assert refused.returncode != 0 and "VAULT_ID" in refused.stdout
    assert sorted(path.name for path in beginning.root.iterdir()) == ["cosign.pub", "empty.cfg", "password"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend aws against a server that checks signatures and policies, through ansible-playbook -vvv."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.backends.playbook import Site, leaks, proof
from ansible_collections.techsaas.hardened.tests.backends.servers import Aws, free_port, silent

_NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


def variables(aws: Aws, **more: Any) -> dict[str, Any]:
    return {
        "hardened_secrets_backend": "aws",
        "hardened_secrets_url": aws.url,
        "hardened_secrets_region": "eu-central-1",
        "hardened_secrets_path": "production",
        "hardened_secrets_deadline": 15,
        **more,
    }


def keys(aws: Aws, user: str = "admin", **more: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": aws.keys[user][0], "AWS_SECRET_ACCESS_KEY": aws.keys[user][1], **more}


def put(aws: Aws, name: str, text: str) -> None:
    client = aws.client("secretsmanager")
    try:
        client.put_secret_value(SecretId=f"production/{name}", SecretString=text)
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=f"production/{name}", SecretString=text)


def test_reads_texts_and_keys_of_objects(aws: Aws, site: Site, canary: str, tmp_path: Path) -> None:
    put(aws, "text", canary)
    put(aws, "object", json.dumps({"user": "app", "password": canary[::-1]}))
    canaries = {"text": canary, "key": canary[::-1], "secret key": aws.keys["admin"][1]}
    both = proof("text", canary) + proof("object.password", canary[::-1])
    status, output = site.run(both, variables(aws), keys(aws))
    assert (status, leaks(output, canaries)) == (0, []), output
    file = tmp_path / "credentials"
    pair = "aws_access_key_id = {}\naws_secret_access_key = {}\n".format(*aws.keys["admin"])
    file.write_text(f"[deploy]\n{pair}")
    file.chmod(0o600)
    named = variables(aws, hardened_secrets_credentials_file=str(file), hardened_secrets_profile="deploy")
    status, output = site.run(both, named)
    assert (status, leaks(output, canaries)) == (0, []), output
    file.chmod(0o644)
    status, output = site.run(both, named)
    assert status == 2 and "CREDENTIAL_FILE: " in output, output


FAILURES: dict[str, tuple[str, str, dict[str, Any], dict[str, str]]] = {
    "not found": ("NOT_FOUND", "has no such secret", {}, {}),
    "key missing": ("KEY_MISSING", "has no key", {}, {}),
    "key of a text": ("KEY_MISSING", "has no key", {}, {}),
    "unknown key": (
        "DENIED",
        "denies access",
        {},
        {"AWS_ACCESS_KEY_ID": "AKIA" + secrets.token_hex(8).upper()},
    ),
    "wrong secret key": ("DENIED", "denies access", {}, {"AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}),
    "not allowed": ("DENIED", "denies access", {}, {"USER": "nobody"}),
    "nobody there": (
        "UNREACHABLE",
        "cannot be reached",
        {"hardened_secrets_url": "http://127.0.0.1:{closed}"},
        {},
    ),
    "no TLS there": ("TLS", "does not speak TLS", {"hardened_secrets_url": "https://127.0.0.1:{port}"}, {}),
    "slow": (
        "DEADLINE",
        "within 2 s",
        {"hardened_secrets_url": "http://127.0.0.1:{silent}", "hardened_secrets_deadline": 2},
        {},
    ),
    "half of the credentials": ("BACKEND_INCOMPLETE", "other half", {}, {"AWS_SECRET_ACCESS_KEY": ""}),
    "neither region nor credentials": (
        "BACKEND_INCOMPLETE",
        "the region (hardened_secrets_region, or AWS_REGION in the environment); credentials",
        {"hardened_secrets_region": ""},
        _NO_KEYS,
    ),
    "no such profile": (
        "BACKEND_INCOMPLETE",
        "the profile",
        {"hardened_secrets_profile": "nobody"},
        _NO_KEYS,
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failure_has_its_class_and_shows_nothing(aws: Aws, site: Site, canary: str, case: str) -> None:
    code, text, changed, environment = FAILURES[case]
    put(aws, "text", canary)
    put(aws, "object", json.dumps({"password": canary}))
    name = {"not found": "nothing", "key missing": "object.user", "key of a text": "text.user"}.get(
        case, "text"
    )
    user = environment.get("USER", "admin")
    credentials = keys(aws, user, **{k: v for k, v in environment.items() if k != "USER"})
    with silent() as silent_port:
        places = {"closed": free_port(), "silent": silent_port, "port": aws.url.rpartition(":")[2]}
        filled = {k: v.format(**places) if isinstance(v, str) else v for k, v in changed.items()}
        started = time.monotonic()
        status, output = site.run(
            proof(name, canary), variables(aws, **filled), {k: v for k, v in credentials.items() if v}
        )
    assert status == 2 and f"{code}: " in output and text in output, output
    given = {"value": canary, **{k: v for k, v in credentials.items() if v}}
    assert leaks(output, given) == [], output
    assert time.monotonic() - started < 40


def test_new_secrets_come_into_the_server_and_the_registry(aws: Aws, site: Site) -> None:
    made = {"techsaas.hardened.secret_generate": {"names": ["fresh", "pair.a"], "class": "service_account"}}
    rotated = {
        "techsaas.hardened.secret_generate": {"name": "fresh", "class": "service_account", "state": "rotated"}
    }
    put(aws, "pair", json.dumps({"c": "kept"}))
    status, output = site.run([made, made, rotated], variables(aws), keys(aws))
    assert status == 0 and "changed=2" in output, output
    client = aws.client("secretsmanager")
    fresh = client.get_secret_value(SecretId="production/fresh")
    pair = json.loads(client.get_secret_value(SecretId="production/pair")["SecretString"])
    assert len(fresh["SecretString"]) == 64 and sorted(pair) == ["a", "c"] and pair["c"] == "kept"
    registry = (site.inventory / ".secrets/registry.json").read_text()
    assert fresh["VersionId"] in registry
    assert leaks(output + registry, {"fresh": fresh["SecretString"], "a": pair["a"]}) == []

# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend aws against a server that checks signatures and policies, through ansible-playbook -vvv."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.backends.playbook import (
    Failure,
    Site,
    leaks,
    proof,
    settings,
)
from ansible_collections.techsaas.hardened.tests.backends.servers import Aws, free_port, silent


def variables(aws: Aws, **more: Any) -> dict[str, Any]:
    given = {"backend": "aws", "url": aws.url, "region": "eu-central-1", "path": "production"}
    return {**settings(**given, deadline=15), **settings(**more)}


def keys(pair: tuple[str, str]) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": pair[0], "AWS_SECRET_ACCESS_KEY": pair[1]}


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
    status, output = site.run(both, variables(aws), keys(aws.keys["admin"]))
    assert (status, leaks(output, canaries)) == (0, []), output
    file = tmp_path / "credentials"
    pair = "aws_access_key_id = {}\naws_secret_access_key = {}\n".format(*aws.keys["admin"])
    file.write_text(f"[deploy]\n{pair}")
    file.chmod(0o600)
    named = variables(aws, credentials_file=str(file), profile="deploy")
    status, output = site.run(both, named)
    assert (status, leaks(output, canaries)) == (0, []), output
    file.chmod(0o644)
    status, output = site.run(both, named)
    assert status == 2 and "CREDENTIAL_FILE: " in output, output


BY_OPTIONS = {
    "not found": Failure("NOT_FOUND", "has no such secret", name="nothing"),
    "key missing": Failure("KEY_MISSING", "has no key", name="object.user"),
    "key of a text": Failure("KEY_MISSING", "has no key", name="api.user"),
    "nobody there": Failure("UNREACHABLE", "cannot be reached", {"url": "http://127.0.0.1:{closed}"}),
    "no TLS there": Failure("TLS", "does not speak TLS", {"url": "https://127.0.0.1:{port}"}),
    "slow": Failure("DEADLINE", "within 2 s", {"url": "http://127.0.0.1:{silent}", "deadline": 2}),
    "no such profile": Failure("BACKEND_INCOMPLETE", "the profile", {"profile": "nobody"}),
    "no region": Failure("BACKEND_INCOMPLETE", "the region", {"region": ""}),
}


def test_failures_have_their_class_and_show_nothing(aws: Aws, site: Site, canary: str) -> None:
    put(aws, "api", canary)
    put(aws, "object", json.dumps({"password": canary}))
    with silent() as silent_port:
        places = {"closed": free_port(), "silent": silent_port, "port": aws.url.rpartition(":")[2]}
        tasks = [task for case, failure in BY_OPTIONS.items() for task in failure.tasks(case, **places)]
        status, output = site.run(tasks, variables(aws), keys(aws.keys["admin"]))
    assert status == 0 and f"ignored={len(BY_OPTIONS)}" in output, output
    assert leaks(output, {"value": canary, **keys(aws.keys["admin"])}) == [], output


_INVENTED = ("AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20))
# Where None stands, what is right.
BY_CREDENTIALS: dict[str, tuple[Failure, str, tuple[str | None, str | None]]] = {
    "unknown key": (Failure("DENIED", "denies access"), "admin", (_INVENTED[0], None)),
    "wrong secret key": (Failure("DENIED", "denies access"), "admin", (None, _INVENTED[1])),
    "not allowed": (Failure("DENIED", "denies access"), "nobody", (None, None)),
    "half of them": (Failure("BACKEND_INCOMPLETE", "other half"), "admin", (None, "")),
    "neither they nor a region": (
        Failure(
            "BACKEND_INCOMPLETE",
            "the region (hardened_secrets_region, or AWS_REGION in the environment); credentials",
            {"region": ""},
        ),
        "admin",
        ("", ""),
    ),
}


@pytest.mark.parametrize("case", BY_CREDENTIALS)
def test_bad_credentials_have_their_class_and_are_not_shown(
    aws: Aws, site: Site, canary: str, case: str
) -> None:
    failure, user, (access, secret) = BY_CREDENTIALS[case]
    put(aws, "api", canary)
    right = aws.keys[user]
    pair = keys((right[0] if access is None else access, right[1] if secret is None else secret))
    environment = {name: value for name, value in pair.items() if value}
    status, output = site.run(failure.tasks(case), variables(aws), environment)
    assert status == 0 and "ignored=1" in output, output
    assert leaks(output, {"value": canary, **environment}) == [], output


def test_new_secrets_come_into_the_server_and_the_registry(aws: Aws, site: Site) -> None:
    made = {"techsaas.hardened.secret_generate": {"names": ["fresh", "pair.a"], "class": "service_account"}}
    rotated = {
        "techsaas.hardened.secret_generate": {"name": "fresh", "class": "service_account", "state": "rotated"}
    }
    put(aws, "pair", json.dumps({"c": "kept"}))
    status, output = site.run([made, made, rotated], variables(aws), keys(aws.keys["admin"]))
    assert status == 0 and "changed=2" in output, output
    client = aws.client("secretsmanager")
    fresh = client.get_secret_value(SecretId="production/fresh")
    pair = json.loads(client.get_secret_value(SecretId="production/pair")["SecretString"])
    assert len(fresh["SecretString"]) == 64 and sorted(pair) == ["a", "c"] and pair["c"] == "kept"
    registry = (site.inventory / ".secrets/registry.json").read_text()
    assert fresh["VersionId"] in registry
    assert leaks(output + registry, {"fresh": fresh["SecretString"], "a": pair["a"]}) == []

# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend openbao against a real server, through ansible-playbook -vvv: the right answer, and no leak."""

from __future__ import annotations

import importlib.util
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.backends import certificates
from ansible_collections.techsaas.hardened.tests.backends.playbook import (
    Failure,
    Site,
    leaks,
    lookup,
    proof,
    settings,
)
from ansible_collections.techsaas.hardened.tests.backends.servers import Bao, free_port, silent


def variables(bao: Bao, **more: Any) -> dict[str, Any]:
    # As a template, because that is how inventories say such things.
    given = {
        "backend": "{{ backend_of_all }}",
        "url": bao.url,
        "ca_file": str(bao.ca_file),
        "path": "production",
    }
    return {"backend_of_all": "openbao", **settings(**given, deadline=5), **settings(**more)}


def approle(bao: Bao, **more: str) -> dict[str, str]:
    return {"HARDENED_SECRETS_ROLE_ID": bao.role_id, "HARDENED_SECRETS_SECRET_ID": bao.secret_id, **more}


def test_reads_by_role_and_by_token_file(bao: Bao, site: Site, canary: str, tmp_path: Path) -> None:
    bao.put("production/api", value=canary, other=canary[::-1])
    canaries = {"value": canary, "role id": bao.role_id, "secret id": bao.secret_id, "token": bao.root.token}
    status, output = site.run(
        proof("api", canary) + proof("api.other", canary[::-1]), variables(bao), approle(bao)
    )
    assert (status, leaks(output, canaries)) == (0, []), output
    token = tmp_path / "token"
    token.write_text(bao.root.token)
    token.chmod(0o600)
    status, output = site.run(proof("api", canary), variables(bao, token_file=str(token)))
    assert (status, leaks(output, canaries)) == (0, []), output


def test_a_search_for_leaks_finds_one(bao: Bao, site: Site, canary: str) -> None:
    bao.put("production/shown", value=canary)
    shown = "{{ " + lookup("shown") + " | b64encode }}"
    tasks = [{"ansible.builtin.debug": {"msg": shown}}]
    status, output = site.run(tasks, variables(bao), approle(bao), options=())
    # The core masks it where it can: 2.22 and newer.
    expected = [] if importlib.util.find_spec("ansible.module_utils.secrets") else ["value (base64 at 0)"]
    assert (status, leaks(output, {"value": canary})) == (0, expected), output


def test_value_with_a_template_is_taken_literally(bao: Bao, site: Site) -> None:
    value = "{{ 1 + 1 }}" + secrets.token_hex(16)
    bao.put("production/template", value=value)
    status, output = site.run(proof("template", value), variables(bao), approle(bao))
    assert status == 0, output


BY_OPTIONS = {
    "not found": Failure("NOT_FOUND", "production/nothing", name="nothing"),
    "key missing": Failure("KEY_MISSING", "has no key", name="api.nokey"),
    "denied": Failure("DENIED", "denies access", {"path": "staging"}),
    "wrong mount": Failure("DENIED", "denies access", {"mount": "elsewhere"}),
    "nobody there": Failure("UNREACHABLE", "cannot be reached", {"url": "https://127.0.0.1:{closed}"}),
    "another authority": Failure("TLS", "not by a known authority", {"ca_file": "{other_ca}"}),
    "authorities of the system": Failure("TLS", "not by a known authority", {"ca_file": ""}),
    "another name": Failure("TLS", "for another name", {"url": "https://localhost:{port}"}),
    "no TLS where TLS is": Failure("UNREACHABLE", "refuses the request", {"url": "http://127.0.0.1:{port}"}),
    "slow": Failure("DEADLINE", "within 1 s", {"url": "https://127.0.0.1:{silent}", "deadline": 1}),
    "no address": Failure("BACKEND_INCOMPLETE", "the address (hardened_secrets_url)", {"url": ""}),
    "plain address": Failure("URL", "must be https", {"url": "http://bao.invalid:8200"}),
    "address with a user": Failure("URL", "must be https", {"url": "https://{canary}@127.0.0.1:{port}"}),
    "no such file": Failure("CA_FILE", "cannot be read", {"ca_file": "/nonexistent"}),
    "unknown backend": Failure("OPTION", "backend", {"backend": "{canary}"}),
}


def test_failures_have_their_class_and_show_nothing(
    bao: Bao, site: Site, canary: str, tmp_path: Path
) -> None:
    bao.put("production/api", value=canary)
    certificates.issue(tmp_path)
    with silent() as silent_port:
        places = {"closed": free_port(), "silent": silent_port, "port": bao.url.rpartition(":")[2]}
        places.update(other_ca=str(tmp_path / "ca.pem"), canary=canary)
        tasks = [task for case, failure in BY_OPTIONS.items() for task in failure.tasks(case, **places)]
        status, output = site.run(tasks, variables(bao), approle(bao))
    assert status == 0 and f"ignored={len(BY_OPTIONS)}" in output, output
    assert leaks(output, {"value": canary, "secret id": bao.secret_id, "role id": bao.role_id}) == [], output


BY_CREDENTIALS = {
    "wrong role id": Failure("DENIED", "refuses the role id", {}, {"ROLE_ID": secrets.token_hex(18)}),
    "wrong secret id": Failure("DENIED", "refuses the role id", {}, {"SECRET_ID": secrets.token_hex(18)}),
    "wrong token": Failure(
        "DENIED", "denies access", {}, {"TOKEN": secrets.token_hex(18), "ROLE_ID": "", "SECRET_ID": ""}
    ),
    "no secret id": Failure("BACKEND_INCOMPLETE", "the secret id", {}, {"SECRET_ID": ""}),
    "neither address nor role": Failure(
        "BACKEND_INCOMPLETE", "the address (hardened_secrets_url); the role id", {"url": ""}, {"ROLE_ID": ""}
    ),
}


@pytest.mark.parametrize("case", BY_CREDENTIALS)
def test_bad_credentials_have_their_class_and_are_not_shown(
    bao: Bao, site: Site, canary: str, case: str
) -> None:
    failure = BY_CREDENTIALS[case]
    bao.put("production/api", value=canary)
    given = {f"HARDENED_SECRETS_{name}": value for name, value in failure.environment.items()}
    environment = approle(bao, **given)
    status, output = site.run(failure.tasks(case), variables(bao), environment)
    assert status == 0 and "ignored=1" in output, output
    assert leaks(output, {k: v for k, v in {"value": canary, **environment}.items() if v}) == [], output


def test_credential_file_must_be_private(bao: Bao, site: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(bao.root.token)
    token.chmod(0o640)
    status, output = site.run(proof("api", ""), variables(bao, token_file=str(token)), options=("-vvv",))
    assert status == 2 and "CREDENTIAL_FILE: " in output and f"chmod 600 {token}" in output, output
    assert leaks(output, {"token": bao.root.token}) == []


def test_sealed_server_is_told_apart(bao: Bao, site: Site) -> None:
    bao.root.sys.seal()
    try:
        status, output = site.run(proof("api", ""), variables(bao), approle(bao))
    finally:
        bao.root.sys.submit_unseal_key(bao.unseal_key)
        time.sleep(0.5)
    assert status == 2 and "UNREACHABLE: " in output and "is sealed" in output, output


def test_new_secrets_come_into_the_server_and_the_registry(bao: Bao, site: Site) -> None:
    made = {
        "techsaas.hardened.secret_generate": {"names": ["fresh", "pair.a", "pair.b"], "class": "database"}
    }
    rotated = {
        "techsaas.hardened.secret_generate": {"name": "fresh", "class": "database", "state": "rotated"}
    }
    bao.put("production/pair", c="kept")
    status, output = site.run([made, made, rotated], variables(bao), approle(bao))
    assert status == 0 and "changed=2" in output, output
    read = bao.root.secrets.kv.v2.read_secret_version
    fresh = read("production/fresh", raise_on_deleted_version=True)["data"]
    pair = read("production/pair", raise_on_deleted_version=True)["data"]["data"]
    assert fresh["metadata"]["version"] == 2 and len(fresh["data"]["value"]) == 64
    assert sorted(pair) == ["a", "b", "c"] and pair["c"] == "kept" and pair["a"] != pair["b"]
    assert leaks(output, {"fresh": fresh["data"]["value"], "a": pair["a"], "b": pair["b"]}) == []
    registry = (site.inventory / ".secrets/registry.json").read_text()
    assert '"version": "2"' in registry and fresh["metadata"]["created_time"][:19] in registry
    assert leaks(registry, {"fresh": fresh["data"]["value"]}) == []


def test_the_same_value_again_is_no_rotation(bao: Bao, site: Site) -> None:
    made = {"techsaas.hardened.secret_generate": {"names": ["again"], "class": "database"}}
    status, output = site.run([made], variables(bao), approle(bao))
    assert status == 0, output
    value = bao.root.secrets.kv.v2.read_secret_version("production/again", raise_on_deleted_version=True)
    bao.put("production/again", **value["data"]["data"])
    judged = (
        "{{ " + lookup("again", "query", ", return='metadata'") + " | techsaas.hardened.rotation_status }}"
    )
    status, output = site.run(
        [{"ansible.builtin.assert": {"that": "rows[0].status == 'UNCHANGED'"}, "vars": {"rows": judged}}],
        variables(bao),
        approle(bao),
    )
    assert status == 0, output

# SPDX-License-Identifier: GPL-3.0-or-later
"""The default backend in real runs of ansible-playbook -vvv --diff: what is made, what is read, and what is shown."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.techsaas.hardened.tests.backends.playbook import Site, leaks, lookup, proof

NAMES = ["app_secret_key", "db.password"]
MAKE: dict[str, Any] = {"techsaas.hardened.secret_generate": {"names": NAMES, "class": "encryption_key"}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, hosts=3)


def vault(site: Site, text: str | None = None) -> str:
    """The clear text of the default file, after writing it if there is one to write."""
    path = site.inventory / ".secrets/secrets.yml"
    secret = VaultSecret(site.password.read_bytes())
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(VaultLib().encrypt(text, secret, "prod"))
    return str(VaultLib([("prod", secret)]).decrypt(path.read_bytes()), "utf-8")


def canaries(site: Site) -> dict[str, str]:
    return dict(re.findall(r'([a-z_]+): "?([A-Za-z0-9+/_-]{32,})', vault(site)))


def test_made_once_for_the_whole_fleet_then_read_by_every_host(site: Site) -> None:
    status, output = site.run([MAKE], options=("-vvv", "--diff", "--check"))
    assert status == 0 and "changed=1" in output and not (site.inventory / ".secrets").exists(), output
    status, output = site.run([MAKE, MAKE])
    made = canaries(site)
    assert sorted(made) == ["app_secret_key", "hardened_fingerprint_key", "password"]
    assert status == 0 and output.count("changed=1") == 2 and leaks(output, made) == [], output
    assert "-app_secret_key: absent" in output and re.search(
        r"\+app_secret_key: .*\(secret changed\)", output
    )
    status, output = site.run(
        proof("app_secret_key", made["app_secret_key"]) + proof("db.password", made["password"])
    )
    assert status == 0 and output.count("failed=0") >= 3 and leaks(output, made) == [], output
    # The directory's other inventory sources are read by Ansible; these files must not be.
    assert re.findall(r"Parsed \S*/(\S+) inventory source", output)[:1] == ["hosts.yml"]
    assert "Skipping '" not in output and "registry.json" not in output


def test_record_and_status_of_each_and_a_value_that_looks_like_a_template(site: Site) -> None:
    site.hosts = 1
    assert site.run([MAKE], options=())[0] == 0
    odd = "{{ 40 + 2 }}" + secrets.token_hex(16)
    vault(site, vault(site) + f"odd: '{odd}'\n")
    metadata = "{{ " + lookup("db.password", "query", ", return='metadata'") + " }}"
    record = "{{ " + lookup("db.password", "lookup", ", return='record'") + " }}"
    checks = [
        "metadata[0].keys() | sort == ['class', 'created', 'fingerprint', 'history', 'name', 'version']",
        "(metadata | techsaas.hardened.rotation_status)[0].status == 'OK'",
        "(metadata | techsaas.hardened.rotation_status)[0].due_in_days == 365",
        "record.keys() | sort == ['class', 'created', 'name', 'value', 'version']",
        "metadata[0].fingerprint == record.value | techsaas.hardened.secret_fingerprint(key)",
    ]
    given = {
        "metadata": metadata,
        "record": record,
        "key": "{{ " + lookup("hardened_fingerprint_key") + " }}",
    }
    task = {"ansible.builtin.assert": {"that": checks}, "vars": given}
    status, output = site.run([task, *proof("odd", odd)])
    assert status == 0 and leaks(output, canaries(site)) == [], output


def damaged(site: Site) -> dict[str, tuple[str, dict[str, Any]]]:
    """By case the code that it must end with, and the task's options: files that are damaged copies of good ones."""
    source = site.inventory / ".secrets"
    clear, registry = vault(site), (source / "registry.json").read_text()
    other, mine = (VaultSecret(key) for key in (secrets.token_bytes(16), site.password.read_bytes()))
    encrypt = VaultLib().encrypt
    good = encrypt(clear, mine, "prod")
    cases: dict[str, tuple[str, bytes, str]] = {
        "another password": ("VAULT_PASSWORD", encrypt(clear, other, "prod"), registry),
        "broken YAML": ("YAML", encrypt(clear + "broken: [\n", mine, "prod"), registry),
        "clear text": ("CLEAR_TEXT", clear.encode(), registry),
        "half a vault": ("VAULT_FORMAT", good[:-200], registry),
        "half a registry": ("REGISTRY", good, registry[:-20]),
        "edited registry": ("REGISTRY_EDITED", good, registry.replace("20", "21", 1)),
    }
    result: dict[str, tuple[str, dict[str, Any]]] = {}
    for case, (code, content, text) in cases.items():
        place = site.root / case
        place.mkdir()
        (place / "secrets.yml").write_bytes(content)
        (place / "registry.json").write_text(text)
        files = {"file": str(place / "secrets.yml"), "registry": str(place / "registry.json")}
        result[case] = (code, {"options": files})
    return {
        **result,
        "no such option": ("OPTION", {"options": {"fiel": "x"}}),
        "no such backend": ("OPTION", {"options": {"backend": "x"}}),
        "wrong deadline": ("OPTION", {"options": {"deadline": "soon"}}),
        "no name": ("NAME", {"names": ["a b"]}),
        "the key itself": ("NAME", {"names": ["hardened_fingerprint_key"]}),
        "no class": ("CLASS", {"class": "No Class"}),
    }


def test_failures_have_their_class_change_nothing_and_show_nothing(site: Site) -> None:
    site.hosts = 1
    assert site.run([MAKE], options=())[0] == 0
    made, cases = canaries(site), damaged(site)
    before = {
        path: path.read_bytes()
        for path in site.root.rglob("*")
        if path.name in ("secrets.yml", "registry.json")
    }
    tasks: list[dict[str, Any]] = []
    for case, (code, options) in cases.items():
        arguments = {**MAKE["techsaas.hardened.secret_generate"], "state": "rotated", **options}
        task = {"techsaas.hardened.secret_generate": arguments, "register": "it", "ignore_errors": True}
        that = [f"it.problem_code == '{code}'", "it.problem_rule | length > 0", "it.problem_fix | length > 0"]
        tasks += [{"name": case, **task}, {"name": f"after {case}", "ansible.builtin.assert": {"that": that}}]
    status, output = site.run(tasks)
    assert status == 0 and f"ignored={len(cases)}" in output, output
    assert leaks(output, made) == [], output
    assert {path: path.read_bytes() for path in before} == before


def test_validate_reports_the_class_of_a_lookup_that_fails(site: Site) -> None:
    """The seam with techsaas.hardened.validate: three attributes somewhere in the chain of the error."""
    program = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
variables = {"inventory_dir": sys.argv[2]}
text = trust_as_template("{{ lookup('techsaas.hardened.secret', 'nothing') }}")
try:
    Templar(DataLoader(), variables=variables).template(text)
except Exception as error:
    while error is not None and not hasattr(error, "problem_code"):
        error = error.__cause__ or error.__context__
    print(json.dumps([error.problem_code, error.problem_rule, error.problem_fix]))
"""
    vault(site, "")
    collections = Path(__file__).parents[4] / ".cache/collections"
    done = subprocess.run(
        [sys.executable, "-c", program, str(collections), str(site.inventory)],
        capture_output=True,
        text=True,
        check=False,
    )
    code, rule, fix = json.loads(done.stdout or "[]") or pytest.fail(done.stderr)
    assert code == "VAULT_PASSWORD" and "no vault password" in rule and "--vault-id" in fix

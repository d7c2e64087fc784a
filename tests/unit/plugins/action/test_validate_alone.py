# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own `validate` playbook where no network is: everything that is wrong, in one report."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

_ROOT = Path(__file__).resolve().parents[4]
_PASSWORD = secrets.token_urlsafe(16)
_HOSTS = """---
all:
  children:
    edge: {hosts: {edge-1: {ansible_host: 192.0.2.1}}}
    app: {hosts: {app-1: {ansible_host: 192.0.2.2}, app-2: {ansible_host: 192.0.2.3}}}
    database: {hosts: {db-1: {ansible_host: 192.0.2.4}}}
    logs: {hosts: {log-1: {ansible_host: 192.0.2.5}}}
"""
_MAIN = """---
hardened_environment: production
hardened_domain: api.your-company.com
app_image: registry.your-company.com/api@sha256:DIGEST
app_image_signature_waiver: {until: "2999-12-31", reason: images are signed from next year on}
app_cors_origins: [https://console.your-company.com]
""".replace("DIGEST", "0" * 64)

# What is planted, file by file; a line is a variable, and the code behind the bar is what must be said of it.
_PLANTED = {
    "hosts.yml": """---
all:
  children:
    edge: {hosts: {edge-1: {ansible_host: 192.0.2.1}}}
    app: {hosts: {app-1: {ansible_host: 192.0.2.2}, app-2: {ansible_host: 192.0.2.3}}}
    databse: {hosts: {db-1: {ansible_host: 192.0.2.4}}}                 # | group database MISSING_GROUP
    logs: {hosts: {log-1: {ansible_host: 192.0.2.5}}}
  vars:
    ansible_become_password: zebra-hosts                                # | CLEAR_SECRET
""",
    "group_vars/all/main.yml": """---
hardened_environment: production
hardened_domain: https://zebra.your-company.com                         # | DOMAIN
hardened_domian: zebra.your-company.com                                 # | UNKNOWN_VARIABLE
pki_renew_before_days: 500                                              # | ORDER
app_migrate_command: "{{ lookup('file', '/nonexistent/zebra') }}"        # | LOOKUP
app_image: registry.your-company.com/api:zebra                          # | IMAGE
app_image_signature_waiver: {until: "2020-01-01", reason: zebra-zebra}  # | EXPIRED
app_syscalls: [zebra_call]                                              # | app_syscalls[0] SYSCALL
app_capabilities: [{name: NET_ZEBRA, reason: zebra-zebra}]              # | app_capabilities[0].name CAPABILITY
app_egress: [{address: zebra, port: 443}]                               # | app_egress[0].address NETWORK
""",
    "group_vars/all/secrets.yml": """---
app_secret_key: zebra-changeme-zebra-changeme-zebra                     # | PLACEHOLDER
app_admin_api_key: zebra-changeme-zebra-changeme-zebra                  # | NOT_DISTINCT
pki_ca_passphrase: [zebra]                                              # | TYPE
""",
    "group_vars/app.yml": """---
app_ai_service_env: staging                                             # | ENVIRONMENT
app_cors_origins: https://zebra.your-company.com                        # | TYPE
app_log_level: INFO                                                     # | LOG_LEVEL
app_environment: {ZEBRA_PASSWORD: zebra}                                # | SECRET_IN_ENVIRONMENT
app_prot: 8000                                                          # | UNKNOWN_VARIABLE
""",
    "host_vars/app-1.yml": """---
app_memory: 512 zebras                                                  # | SIZE
app_ready_path: "{{ nosuch_zebra_variable }}"                           # | UNDEFINED
app_pids: "{{ app_uid }}"                                               # | RECURSIVE
app_uid: "{{ app_pids }}"                                               # | RECURSIVE
app_stop_timeout: -1                                                    # | RANGE
app_tmp_size: "{{ 'zebra' | nosuch_filter }}"                           # | SYNTAX
""",
    "host_vars/log-1.yml": """---
log_collector_retention_days: 0                                         # | RANGE
log_collector_port: "{{ 1 / 0 }}"                                       # | TEMPLATE
log_collector_file_size_max: !vault |                                   # | VAULT
  SEALED
""",
}


def _seal(text: str, password: str = _PASSWORD) -> str:
    return str(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode())


def _without_network() -> list[str]:
    """A command prefix; skips where the machine allows no namespace of one's own."""
    for prefix in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        try:
            done = subprocess.run(
                [*prefix, "cat", "/proc/net/route"], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            break
        if done.returncode == 0:
            assert done.stdout.splitlines()[1:] == []
            return prefix
    pytest.skip("no network namespace can be made here")


def _validate(root: Path, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    (root / "password").write_text(_PASSWORD)
    (root / "ansible.cfg").write_text("[defaults]\nvault_password_file = password\n")
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(_ROOT / ".cache/collections"),
        "ANSIBLE_HOME": str(root / "home"),
        "LC_ALL": "C.UTF-8",
    }
    command = [
        sys.executable,
        "-m",
        "ansible",
        "playbook",
        "-i",
        "inventory",
        "techsaas.hardened.validate",
        *arguments,
    ]
    done = subprocess.run(
        [*_without_network(), *command], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        if "=> {" in line and '"problems"' in line:
            return (
                done.returncode,
                done.stdout + done.stderr,
                json.loads(line.partition("=> ")[2])["problems"],
            )
    return done.returncode, done.stdout + done.stderr, []


def _write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / "inventory" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _expected() -> set[tuple[str, str]]:
    expected = set()
    for content in _PLANTED.values():
        for line in content.splitlines():
            variable, mark, code = line.partition("# | ")
            if mark:
                subject, _space, code = code.rpartition(" ")
                expected.add((subject or variable.partition(":")[0].strip(), code))
    return expected


def test_everything_planted_is_in_one_report_and_nothing_was_contacted(tmp_path: Path) -> None:
    sealed = _seal("100M", "another password").replace("\n", "\n  ")
    _write(tmp_path, {name: text.replace("SEALED", sealed) for name, text in _PLANTED.items()})
    secret_file = tmp_path / "inventory/group_vars/all/secrets.yml"
    secret_file.write_text(_seal(secret_file.read_text()))
    code, output, problems = _validate(tmp_path)
    assert code != 0
    found = {(row["variable"], row["code"]) for row in problems}
    expected = _expected()
    assert len(expected) >= 20 and len(_PLANTED) == 6
    assert expected - found == set()
    # Beside what was planted there are only further reasons against the same secrets, and what a missing group leaves.
    others = {variable for variable, _code in found - expected}
    assert others <= {"app_secret_key", "app_admin_api_key", "postgres_app_password"}
    assert output.count("Nothing was changed.") >= 1 and "Traceback" not in output
    places = " ".join(row.get("file", "") for row in problems)
    for name in _PLANTED:
        assert name == "group_vars/all/secrets.yml" or f"inventory/{name}:" in places
    # Names of variables may be told; values may not.
    assert "zebra" not in json.dumps(problems).replace("nosuch_zebra_variable", "")


def test_a_good_inventory_passes_without_a_network(tmp_path: Path) -> None:
    names = ("app_secret_key", "app_admin_api_key", "postgres_app_password", "pki_ca_passphrase")
    good = "".join(f"{name}: {secrets.token_urlsafe(48)}\n" for name in names)
    _write(
        tmp_path,
        {"hosts.yml": _HOSTS, "group_vars/all/main.yml": _MAIN, "group_vars/all/secrets.yml": _seal(good)},
    )
    code, output, _problems = _validate(tmp_path)
    assert code == 0, output

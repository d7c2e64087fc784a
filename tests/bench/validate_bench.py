# SPDX-License-Identifier: GPL-3.0-or-later
"""Times `validate` for growing fleets, each application host with secrets of its own, all in one encrypted inventory.

Prints the seconds of the task itself, and beside it the seconds of a task that only asks Ansible for the variables of
every host, which nobody can do without. Only the ratio means anything on a machine that does other things as well.
    .venv/bin/python tests/bench/validate_bench.py --hosts 1 100 1000 10000
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

ROOT = Path(__file__).resolve().parents[2]
OURS, REFERENCE = "Judge every variable of every host", "Ask for the variables of every host"
PLAYBOOK = f"""---
- name: Time it
  hosts: all
  gather_facts: false
  tasks:
    - name: {REFERENCE}
      all_variables:
      run_once: true
    - name: {OURS}
      techsaas.hardened.validate:
      run_once: true
"""
_ACTION = """from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    BYPASS_HOST_LOOP = True

    def run(self, tmp=None, task_vars=None):
        hostvars = task_vars["hostvars"]
        return {"changed": False, "count": sum(len(hostvars.raw_get(host)) > 0 for host in task_vars["groups"]["all"])}
"""


def fresh() -> str:
    return secrets.token_urlsafe(48)


def inventory(hosts: int) -> dict[str, Any]:
    """Four hosts in five serve the application; each has a key of its own, so that nothing is judged only once."""
    roles: dict[str, dict[str, Any]] = {"edge": {}, "app": {}, "database": {}, "logs": {}}
    names = list(roles)
    for number in range(hosts):
        own = {"ansible_host": f"h{number}.bench.internal", "app_secret_key": fresh()}
        group = "app" if hosts < len(names) or number % 5 else names[number // 5 % 4]
        roles[group][f"host-{number}"] = own
    if hosts < len(names):
        roles = {name: {"host-0": None} for name in names} | {"app": roles["app"]}
    for name in names:
        roles[name] = roles[name] or {"host-0": None}
    variables = {
        "ansible_connection": "local",
        "hardened_environment": "production",
        "hardened_domain": "api.your-company.com",
        "app_image": "registry.your-company.com/api@sha256:" + "0" * 64,
        "app_cors_origins": ["https://console.your-company.com"],
        **{name: fresh() for name in ("app_admin_api_key", "postgres_app_password", "pki_ca_passphrase")},
    }
    children = {name: {"hosts": members} for name, members in roles.items()}
    return {"all": {"vars": variables, "children": children}}


def measure(hosts: int, *arguments: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vault = VaultLib([("default", VaultSecret(b"bench"))])
        (folder / "password").write_text("bench", encoding="utf-8")
        (folder / "inventory.yml").write_bytes(vault.encrypt(yaml.safe_dump(inventory(hosts))))
        (folder / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
        (folder / "action_plugins").mkdir()
        (folder / "action_plugins/all_variables.py").write_text(_ACTION, encoding="utf-8")
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "password"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/bench/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_time",
            "BENCH_TIMES": str(folder / "times"),
            "LC_ALL": "C.UTF-8",
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(program), "-i", "inventory.yml", "play.yml", *arguments]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"validate failed for {hosts} hosts:\n{done.stdout}\n{done.stderr}")
        times: dict[str, float] = json.loads((folder / "times").read_text(encoding="utf-8"))
        return times


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 100, 1000, 10000])
    options, extra = parser.parse_known_args()
    for hosts in options.hosts:
        times = measure(hosts, *extra)
        ours, reference = times[OURS], times[REFERENCE]
        print(
            f"{hosts:>6} hosts  validate {ours:6.2f} s  {ours / hosts * 1000:7.2f} ms a host"
            f"  variables alone {reference:6.2f} s  ratio {ours / reference:5.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Times `validate` for growing fleets, each application host with secrets of its own, all in one encrypted inventory.

Prints the seconds of the task itself and the processor time in them, and beside it the same of a task that only asks
Ansible for the variables of every host, which nobody can do without. On a machine that does other things as well, only
processor time and ratio mean anything.
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
from typing import Any, NamedTuple

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = """---
- name: Time it
  hosts: all
  gather_facts: false
  tasks:
    - name: Ask for the variables of every host
      variables_bench:
      run_once: true
    - name: Judge every variable of every host
      validate_bench:
      run_once: true
"""
# Action plugins that note how long the action in them took, and how much of that the processor worked.
ACTIONS = {
    "variables": """
from ansible.plugins.action import ActionBase

class Action(ActionBase):
    BYPASS_HOST_LOOP = True

    def run(self, tmp=None, task_vars=None):
        hostvars = task_vars["hostvars"]
        return {"count": sum(len(hostvars.raw_get(host)) for host in task_vars["groups"]["all"])}
""",
    "validate": """
from ansible_collections.techsaas.hardened.plugins.action.validate import ActionModule as Action
""",
}
NOTE = """
import json, time
from pathlib import Path

class ActionModule(Action):
    def run(self, tmp=None, task_vars=None):
        started, computed = time.monotonic(), time.process_time()
        result = super().run(tmp, task_vars)
        times = [time.monotonic() - started, time.process_time() - computed]
        Path(task_vars["playbook_dir"], "{name}.json").write_text(json.dumps(times))
        return result
"""


class Times(NamedTuple):
    seconds: float
    computed: float


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


def measure(hosts: int, *arguments: str) -> dict[str, Times]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vault = VaultLib([("default", VaultSecret(b"bench"))])
        (folder / "password").write_text("bench", encoding="utf-8")
        (folder / "inventory.yml").write_bytes(vault.encrypt(yaml.safe_dump(inventory(hosts))))
        (folder / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
        (folder / "action_plugins").mkdir()
        for action, code in ACTIONS.items():
            plugin = folder / "action_plugins" / f"{action}_bench.py"
            plugin.write_text(code + NOTE.replace("{name}", action), encoding="utf-8")
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "password"),
            "LC_ALL": "C.UTF-8",
        }
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(program), "-i", "inventory.yml", "play.yml", *arguments]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"validate failed for {hosts} hosts:\n{done.stdout}\n{done.stderr}")
        return {
            action: Times(*json.loads((folder / f"{action}.json").read_text(encoding="utf-8")))
            for action in ACTIONS
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 100, 1000, 10000])
    options, extra = parser.parse_known_args()
    for hosts in options.hosts:
        times = measure(hosts, *extra)
        ours, reference = times["validate"], times["variables"]
        print(
            f"{hosts:>6} hosts  validate {ours.seconds:6.2f} s, computing {ours.computed:6.2f} s"
            f"  variables alone {reference.seconds:6.2f} s, computing {reference.computed:6.2f} s"
            f"  ratio {ours.computed / reference.computed:5.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs of ansible-playbook, searched for what must not be in their output."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

ROOT = Path(__file__).resolve().parents[2]
# What the machine itself may have set.
_FOREIGN = ("AWS_", "BAO_", "VAULT_", "HARDENED_", "ANSIBLE_")


class Site:
    """An inventory of hosts on this machine, and one play."""

    def __init__(self, root: Path, hosts: int = 1) -> None:
        self.root = root
        self.hosts = hosts
        self.inventory = root / "inventory"
        self.inventory.mkdir()
        self.password = root / "vault-password"
        self.password.write_text(secrets.token_hex(24))
        (root / "ansible.cfg").write_text("[defaults]\n")

    def run(
        self,
        tasks: Sequence[Mapping[str, Any]],
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = ("-vvv", "--diff"),
        vault: bool = True,
    ) -> tuple[int, str]:
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        everyone = {"hosts": {f"h{n}": {} for n in range(self.hosts)}, "vars": {**local, **(variables or {})}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"all": everyone}))
        play = {"hosts": "all", "gather_facts": False, "tasks": list(tasks)}
        (self.root / "play.yml").write_text(yaml.safe_dump([play]))
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            str(self.inventory),
            "play.yml",
            *options,
        ]
        command += ["--vault-id", f"prod@{self.password}"] if vault else []
        own = {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
            # A directory above may have a configuration of its own.
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.root / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.root / "tmp"),
            "ANSIBLE_LOG_PATH": str(self.root / "log"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "LC_ALL": "C.UTF-8",
            **(environment or {}),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        (self.root / "log").write_text("")
        done = subprocess.run(
            command, cwd=self.root, env={**inherited, **own}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr + (self.root / "log").read_text()


def lookup(name: str, function: str = "lookup", more: str = "") -> str:
    """The expression, without braces."""
    return f"{function}('techsaas.hardened.secret', '{name}'{more})"


def proof(name: str, value: str) -> list[dict[str, Any]]:
    """A task that uses a secret without saying it."""
    digest = hashlib.sha256(value.encode()).hexdigest()
    mine = {"mine": "{{ " + lookup(name) + " }}"}
    return [{"ansible.builtin.assert": {"that": f"mine | hash('sha256') == '{digest}'"}, "vars": mine}]


def settings(**options: Any) -> dict[str, Any]:
    """The inventory's variables for options of the lookup."""
    return {f"hardened_secrets_{name}": value for name, value in options.items()}


class Failure(NamedTuple):
    """A case: the code and some words that a lookup must end with, under which options, variables, and name."""

    code: str
    words: str
    options: Mapping[str, Any] = {}
    environment: Mapping[str, str] = {}
    name: str = "api"

    def tasks(self, case: str, **places: Any) -> list[dict[str, Any]]:
        """A lookup that fails, and a look at how it did."""
        filled = {k: v.format(**places) if isinstance(v, str) else v for k, v in self.options.items()}
        attempt = proof(self.name, "")[0]
        attempt["vars"].update(settings(**filled))
        that = [f"'{self.code}: ' in it.msg", f"'{self.words}' in it.msg"]
        return [
            {"name": case, **attempt, "register": "it", "ignore_errors": True},
            {"name": f"how it failed: {case}", "ansible.builtin.assert": {"that": that}},
        ]


def leaks(output: str, canaries: Mapping[str, str]) -> list[str]:
    """Which canary is in the output, and in which form."""
    found = []
    for name, canary in canaries.items():
        for form, text in forms(canary).items():
            if text in output:
                found.append(f"{name} ({form})")
    return found


def forms(canary: str) -> dict[str, str]:
    raw = canary.encode()
    result = {
        "raw": canary,
        "first 20": canary[:20],
        "last 20": canary[-20:],
        "JSON": json.dumps(canary)[1:-1],
        "URL": quote(canary, safe=""),
        "hex": raw.hex(),
        "reversed": canary[::-1],
    }
    for shift in range(3):
        # Without the characters at both ends that depend on what stands beside it.
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        result[f"base64 at {shift}"] = encoded[4:-4]
    return result

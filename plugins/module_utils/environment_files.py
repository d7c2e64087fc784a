# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a new environment, made of what somebody who begins knows; free of Ansible."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GROUPS = ("edge", "app", "database", "logs")
REQUIRED = ("edge", "app", "logs")
# Of each class the secrets that the roles need, and of what characters they are made.
SECRETS = (
    ("encryption_key", "base64", ("app_secret_key",)),
    ("admin_api_key", "base64", ("app_admin_api_key",)),
    ("encryption_key", "base64", ("pki_ca_passphrase",)),
)
SECRETS_OF_A_DATABASE = (
    ("database", "alnum", ("postgres_app_password",)),
    ("encryption_key", "base64", ("backup_passphrase",)),
)
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{4,253}}$){_LABEL}(\.{_LABEL})+")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True)
class Environment:
    """What is asked for.

    :param hosts: by group, each host as NAME or NAME=ADDRESS.
    :param image: by digest; empty where there is none yet.
    :param image_keys: public keys (PEM) of whom may sign it.
    :param settings: more variables for all hosts.
    """

    name: str
    domain: str
    hosts: Mapping[str, Sequence[str]]
    image: str = ""
    user: str = "automation"
    image_keys: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Class, format, and names of the secrets that it needs."""
        return SECRETS + (SECRETS_OF_A_DATABASE if self.hosts.get("database") else ())


def problems(wanted: Environment) -> list[str]:
    """Everything that is wrong with it, each with what to give."""
    found = []
    if not _NAME.fullmatch(wanted.name):
        found.append("name: must be lower case letters, digits, - and _; -e env=production")
    if not _DOMAIN.fullmatch(wanted.domain):
        found.append(
            "domain: must be the public name of the API, in lower case; -e domain=api.your-company.com"
        )
    if wanted.image and not re.search(r"@sha256:[0-9a-f]{64}$", wanted.image):
        found.append("image: must be named by its digest; -e image=registry.your-company.com/api@sha256:...")
    missing = [group for group in REQUIRED if not wanted.hosts.get(group)]
    if missing:
        found.append(
            f"{', '.join(missing)}: must have a host; -e {missing[0]}={missing[0]}-1=192.0.2.10, or -e host=api-1=192.0.2.10 for all"
        )
    addresses: dict[str, str] = {}
    for group in GROUPS:
        for host in wanted.hosts.get(group, ()):
            found += _host_problems(group, host, addresses)
    found += [
        "image_key: must be a public key in PEM form, as cosign.pub is"
        for key in wanted.image_keys
        if "-----BEGIN PUBLIC KEY-----" not in key
    ]
    return list(dict.fromkeys(found))


def files(wanted: Environment) -> dict[str, str]:
    """The files by path below the environment's directory. Secrets are not among them."""
    return {
        "hosts.yml": _hosts(wanted),
        "group_vars/all/main.yml": _variables(wanted),
        ".gitignore": "# Locks, and copies of before. What is encrypted belongs into version control, as does the registry.\n*.lock\n*.bak\n",
        "README.md": _readme(wanted),
    }


def _host_problems(group: str, host: str, addresses: dict[str, str]) -> list[str]:
    name, has_address, address = host.partition("=")
    found = []
    if not _HOST.fullmatch(name):
        found.append(
            f"{group}: {name or 'a host without a name'} is no host name; write NAME or NAME=ADDRESS"
        )
    if has_address and addresses.setdefault(name, address) != address:
        found.append(f"{group}: {name} has two addresses, {addresses[name]} and {address}")
    if has_address and not _is_address(address):
        found.append(
            f"{group}: {address or 'nothing'} is no address of {name}; an IP address, or a name in DNS"
        )
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        # Four numbers that are no address are no name either.
        return bool(_HOST.fullmatch(text)) and not re.fullmatch(r"[0-9.]+", text)
    return True


def _hosts(wanted: Environment) -> str:
    lines = ["---", "all:", "  children:"]
    seen: set[str] = set()
    for group in GROUPS:
        if not wanted.hosts.get(group):
            continue
        lines += [f"    {group}:", "      hosts:"]
        for host in wanted.hosts[group]:
            name, _equals, address = host.partition("=")
            known = not address or name in seen
            lines.append(f"        {name}:" + ("" if known else f" {{ansible_host: {_quoted(address)}}}"))
            seen.add(name)
    return "\n".join(lines) + "\n"


def _variables(wanted: Environment) -> str:
    lines = [
        "---",
        "# Only what differs from the roles' defaults: docs/validation.md, and the README of each role.",
        f"hardened_environment: {wanted.name}",
        f"hardened_domain: {wanted.domain}",
        "",
        f"ansible_user: {_quoted(wanted.user)}",
        "ansible_become: true",
        "ansible_python_interpreter: /usr/bin/python3",
        "",
    ]
    if wanted.image:
        lines.append(f"app_image: {_quoted(wanted.image)}")
    else:
        lines.append(
            "# app_image: registry.your-company.com/api@sha256:...     by its digest; has to be there"
        )
    if wanted.image_keys:
        lines.append("# Nothing is run but what one of these has signed.")
        lines.append("app_image_signature_keys:")
        for key in wanted.image_keys:
            lines.append("  - |")
            lines += [f"    {line}" for line in key.strip().splitlines()]
    else:
        lines.append(
            "# app_image_signature_keys: [...]     cosign.pub of whoever builds your images; has to be there in production"
        )
    if "app_cors_origins" not in wanted.settings:
        lines.append(f'app_cors_origins: ["https://{wanted.domain}"]')
    lines += [
        "",
        "# From the vault file .secrets/secrets.yml beside this inventory; rotate.yml replaces them.",
    ]
    for _class, _format, names in wanted.secrets:
        for name in names:
            lines.append(f"{name}: \"{{{{ lookup('techsaas.hardened.secret', '{name}') }}}}\"")
    if wanted.settings:
        lines.append("")
        # JSON is YAML, and quotes what has to be.
        lines += [f"{name}: {json.dumps(value)}" for name, value in wanted.settings.items()]
    return "\n".join(lines) + "\n"


def _readme(wanted: Environment) -> str:
    return f"""# {wanted.name}: {wanted.domain}

Made by `techsaas.hardened.init`. Put this directory under version control, and its vault password into your password manager.

1. `ansible-playbook -i . --vault-password-file FILE techsaas.hardened.preflight`, and mend what it lists.
2. `ansible-playbook -i . --vault-password-file FILE techsaas.hardened.deploy`
3. From cron, once a day: `... techsaas.hardened.rotate -e overdue=true` and `... techsaas.hardened.status -e strict=true`

| here | is |
| --- | --- |
| `hosts.yml` | which hosts there are |
| `group_vars/all/main.yml` | what differs from the defaults |
| `.secrets/secrets.yml` | the secrets, encrypted: `ansible-vault edit` |
| `.secrets/registry.json` | class, date, and keyed fingerprint of each, no values |
| `.pki/` | after the first run: the environment's authority, its key encrypted |
"""


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", text) and not re.fullmatch(r"[0-9.]+", text)
    return text if plain else json.dumps(text)

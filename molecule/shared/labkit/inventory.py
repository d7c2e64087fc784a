# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab adds to an ordinary inventory: addresses, the way in, and secrets that only this checkout knows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import yaml

from . import paths, vault
from .fleet import LAB, Fleet, private_key
from .images import USER
from .podman import run

LAB_INVENTORY = paths.CHECKOUT / "inventories" / "lab"
SECRETS = (
    "app_secret_key",
    "app_admin_api_key",
    "postgres_app_password",
    "pki_ca_passphrase",
    "backup_passphrase",
)
HEADER = "# Written by molecule/shared/lab.py; a new fleet writes it anew.\n"


def directory(fleet_name: str) -> Path:
    """The inventory to pass to Ansible for a fleet."""
    return LAB_INVENTORY if fleet_name == LAB else paths.STATE / fleet_name / "inventory"


def secrets_file(fleet_name: str) -> Path:
    """Where the fleet's secrets are, encrypted; the inventory's variables look them up there."""
    return directory(fleet_name) / ".secrets" / "secrets.yml"


def write(fleet: Fleet, addresses: dict[str, str], variables: dict[str, Any]) -> Path:
    """Complete the fleet's inventory; `variables` are what the lab's services add, such as the image's digest."""
    target = directory(fleet.name)
    group_vars = target / "group_vars" / "all"
    group_vars.mkdir(parents=True, exist_ok=True)
    if fleet.name != LAB:
        _link(group_vars / "main.yml", LAB_INVENTORY / "group_vars" / "all" / "main.yml")
    known_hosts = paths.known_hosts(fleet.name)
    known_hosts.write_text(_host_keys(fleet, addresses), encoding="ascii")
    options = f"-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    hosts = {host.name: {"ansible_host": addresses[host.name], **host.variables} for host in fleet.hosts}
    groups: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for host in fleet.hosts:
        for group in host.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
    connection = {
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(private_key()),
        "ansible_ssh_common_args": options,
        "ansible_control_path_dir": str(paths.control_sockets(fleet.name)),
    }
    if fleet.name != LAB:
        # Molecule adds an inventory of its own, in front of which this one is no longer "the" inventory's directory.
        beside = {"pki_directory": ".pki", "hardened_secrets_file": ".secrets/secrets.yml"}
        variables = {**{name: str(target / path) for name, path in beside.items()}, **variables}
    document = {"all": {"hosts": hosts, "children": groups, "vars": {**connection, **variables}}}
    (target / "generated.yml").write_text(
        HEADER + yaml.safe_dump(document, sort_keys=False), encoding="utf-8"
    )
    _ensure_secrets(secrets_file(fleet.name))
    return target


def read(fleet_name: str) -> dict[str, Any]:
    """The variables that every host of the fleet has, as the inventory's own file states them."""
    main = directory(fleet_name) / "group_vars" / "all" / "main.yml"
    loaded: dict[str, Any] = yaml.safe_load(main.read_text(encoding="utf-8"))
    return loaded


def _ensure_secrets(path: Path) -> None:
    """Make the fleet's secrets, or those that have come to be wanted since it was made."""
    identity = ["--vault-id", f"lab@{vault.password_file()}"]
    tool = str(paths.VENV_BIN / "ansible-vault")
    known = yaml.safe_load(run([tool, "view", *identity, str(path)]).stdout) if path.exists() else {}
    if set(SECRETS) <= set(known):
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    clear = yaml.safe_dump({name: secrets.token_urlsafe(48) for name in SECRETS} | known)
    # Through standard input and output: the clear text never touches the disk.
    encrypt = [tool, "encrypt", *identity, "--encrypt-vault-id", "lab", "--output", "-", "-"]
    path.write_text(run(encrypt, stdin=clear).stdout, encoding="ascii")


def _host_keys(fleet: Fleet, addresses: dict[str, str]) -> str:
    # So that SSH can be strict from the first connection on.
    keys = {host.name: fleet.host_key(host.name).split()[:2] for host in fleet.hosts}
    return "".join(f"{addresses[name]} {' '.join(key)}\n" for name, key in keys.items())


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)

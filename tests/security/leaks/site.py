# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment whose secrets are canaries: an inventory in memory, encrypted as an operator's would be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml
from ansible_collections.techsaas.hardened.tests.security.leaks.canary import Canary, canary, simple
from ansible_collections.techsaas.hardened.tests.security.leaks.search import Search
from labkit import inventory, paths

# The authority's key and the backups stay encrypted with the first ones, as no verb changes them.
ROTATED = tuple(name for name in inventory.SECRETS if name not in ("pki_ca_passphrase", "backup_passphrase"))
MEMORY = Path("/dev/shm")


class Site:
    """The fleet's inventory with secrets of its own. All of it lies in memory and is gone with the tests."""

    def __init__(self, fleet: str) -> None:
        self.root = MEMORY / f"hardened-leaks-{paths.CHECKOUT_ID}"
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(mode=0o700)
        self.search = Search()
        self.secrets: dict[str, Canary] = {}
        self.password = self.root / "password"
        self._password("vault_password")
        self.inventory = self.root / "inventory"
        self._fleet = fleet
        self.refresh()
        self.rotate(inventory.SECRETS)

    def refresh(self) -> None:
        """Take the hosts from the fleet's inventory, which a new host changes."""
        source = inventory.directory(self._fleet)
        target = self.inventory / "group_vars" / "all"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "group_vars/all/main.yml", target / "main.yml")
        document = yaml.safe_load((source / "generated.yml").read_text(encoding="utf-8"))
        document["all"]["vars"]["pki_directory"] = str(self.inventory / ".pki")
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(document), encoding="utf-8")

    def rotate(self, names: tuple[str, ...] = ROTATED) -> None:
        """Give these secrets new values; the old ones stay searched for."""
        self.secrets |= {name: canary(name) for name in names}
        self.search.add(self.secrets.values())
        values = {name: secret.value for name, secret in self.secrets.items()}
        self.encrypted(values, self.inventory / "group_vars/all/secrets.yml")

    def encrypted(self, values: Mapping[str, object], file: Path) -> Path:
        """A vault file; the clear text goes through pipes only."""
        return self.encrypted_text(yaml.safe_dump(dict(values), width=10_000), file)

    def encrypted_text(self, text: str, file: Path) -> Path:
        command = [
            str(paths.VENV_BIN / "ansible-vault"),
            "encrypt",
            "--vault-password-file",
            str(self.password),
        ]
        # The checkout's configuration names another password.
        own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        done = subprocess.run(
            [*command, "--output", "-", "-"],
            input=text.encode(),
            cwd=self.root,
            env=own,
            capture_output=True,
            check=True,
        )
        file.write_bytes(done.stdout)
        return file

    def wrong_password(self) -> Path:
        """Another password, which is a secret as well."""
        return self._password("wrong_vault_password")

    def _password(self, name: str) -> Path:
        secret = simple(name)
        self.search.add([secret])
        file = self.root / ("password" if name == "vault_password" else name)
        file.touch(mode=0o600)
        file.write_text(secret.value + "\n", encoding="ascii")
        return file

    def remove(self) -> None:
        shutil.rmtree(self.root)

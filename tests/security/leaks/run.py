# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of a playbook, with secrets that may be wrong, on a host that may be broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site
from labkit import paths

Variables = Callable[[Site], Mapping[str, Any]]


@dataclass(frozen=True)
class Run:
    """`variables` are extra variables in a vault file, `clear` is the text of a file of them in clear.

    `before` and `after` are scripts for the host, `says` is a pattern that has to be in the output,
    `fails` is None where either is right.
    """

    name: str
    playbook: str
    options: tuple[str, ...] = ()
    variables: Variables | None = None
    clear: Callable[[Site], str] | None = None
    rotates: bool = False
    wrong_password: bool = False
    before: str = ""
    after: str = ""
    killed_after: int = 0
    fails: bool | None = False
    says: str = ""
    short: bool = False

    def words(self, site: Site) -> list[str]:
        """Arguments of ansible-playbook, the playbook first."""
        words = [self._playbook(site), *self.options]
        if self.variables:
            words += ["-e", f"@{site.encrypted(self.variables(site), site.root / 'variables.yml')}"]
        if self.clear:
            (site.root / "clear.yml").write_text(self.clear(site), encoding="utf-8")
            words += ["-e", f"@{site.root / 'clear.yml'}"]
        return words

    def password(self, site: Site) -> Path | None:
        return site.wrong_password() if self.wrong_password else None

    def _playbook(self, site: Site) -> str:
        if not self.playbook.startswith("role "):
            return str(paths.CHECKOUT / "playbooks" / self.playbook)
        # As somebody has it who uses a role in a playbook of their own.
        role = {
            "name": "Use a role",
            "ansible.builtin.include_role": {"name": f"techsaas.hardened.{self.playbook[5:]}"},
        }
        look = {"name": "Look", "techsaas.hardened.host_info": {}}
        play = {"name": "Alone", "hosts": "all", "gather_facts": False, "tasks": [look, role]}
        (site.root / "alone.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
        return str(site.root / "alone.yml")

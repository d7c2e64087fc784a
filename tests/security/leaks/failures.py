# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are wrong, and what is wrong beside secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.techsaas.hardened.tests.security.leaks.canary import Canary, simple
from ansible_collections.techsaas.hardened.tests.security.leaks.host_failures import BACK, CERTIFICATE
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run, Variables
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site
from labkit import inventory


def bad_secrets() -> list[Run]:
    """Each secret of each wrong kind. What is wrong with it must be said, what it is must not."""
    kinds: dict[str, Callable[[Canary], Any]] = {
        "too short": lambda made: made.value[:28],
        "weak": lambda made: made.value[:16] * 4,
        "a list": lambda made: [made.value],
        "a dictionary": lambda made: {made.value: made.value},
        "two lines": lambda made: f"{made.value}\n{made.value[::-1]}",
        "with an undefined variable": lambda made: made.value + "{{ not_defined_anywhere }}",
        "with a template that is broken": lambda made: made.value + "{{ 'x' | }}",
    }
    return [
        Run(
            f"{name} {kind}",
            "validate.yml",
            variables=_bad(name, kind, spoil),
            fails=True,
            says=name,
        )
        for name in inventory.SECRETS
        for kind, spoil in kinds.items()
    ]


def _bad(name: str, kind: str, spoil: Callable[[Canary], Any]) -> Variables:
    def variables(site: Site) -> Mapping[str, Any]:
        made = simple(f"{name} {kind}")
        spoilt = spoil(made)
        site.search.add([made, *([Canary(made.name, spoilt)] if isinstance(spoilt, str) else [])])
        return {name: spoilt}

    return variables


def _plain(name: str, *more: str) -> Callable[[Site], str]:
    """A file in clear: a new secret, and beside it what is wrong."""

    def text(site: Site) -> str:
        made = simple(f"{name} in clear")
        site.search.add([made])
        return "\n".join([f"{name}: {made.value}", *more, ""])

    return text


def beside_secrets() -> list[Run]:
    """What is wrong stands beside a secret in a plain file, whose lines an excerpt of the source would show."""
    wrong = {
        "an undefined variable": "hardened_domain: '{{ not_defined_anywhere }}'",
        "a broken template": "hardened_domain: '{{ not | closed'",
        "a failing lookup": "hardened_domain: \"{{ lookup('ansible.builtin.file', '/nonexistent') }}\"",
    }
    return [
        Run(
            f"{name} beside {what}",
            "deploy.yml",
            clear=_plain(name, line),
            fails=True,
            says="hardened_domain",
        )
        for name in inventory.SECRETS
        for what, line in wrong.items()
    ]


def not_judged() -> list[Run]:
    """Roles with secrets that are wrong, without the verbs that would have judged them; Ansible may take them or not."""
    uses = (
        ("role pki", "pki_ca_passphrase", f"mv {CERTIFICATE} {CERTIFICATE}.away", BACK),
        ("role postgres", "postgres_app_password", "", ""),
    )
    return [
        replace(
            run,
            name=f"{playbook}, {run.name}",
            playbook=playbook,
            before=before,
            after=after,
            fails=None,
            says="",
        )
        for playbook, name, before, after in uses
        for run in bad_secrets()
        if run.name.startswith(name)
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is run: every verb in check mode, applied, and again, and every way in which one can fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.techsaas.hardened.tests.security.leaks.failures import (
    bad_secrets,
    beside_secrets,
    not_judged,
)
from ansible_collections.techsaas.hardened.tests.security.leaks.host_failures import (
    on_the_host,
    with_acme,
)
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run


def verb(playbook: str, name: str, **more: Any) -> list[Run]:
    """In check mode, applied, and again."""
    apply = Run(name, playbook, **more)
    again = replace(apply, name=f"{name}, again", rotates=False, variables=None)
    return [replace(apply, name=f"{name}, checked", options=("--check", *apply.options)), apply, again]


def every() -> list[Run]:
    fresh, first, again = verb("deploy.yml", "deploy")
    return [
        replace(fresh, short=True),
        *verb("validate.yml", "validate"),
        *verb("preflight.yml", "preflight"),
        *verb("provision.yml", "provision"),
        *verb("release.yml", "release"),
        *verb("verify.yml", "verify"),
        *verb("maintenance.yml", "close", options=("-e", "state=on", "-e", "reason=the database moves")),
        *verb("maintenance.yml", "open", options=("-e", "state=off")),
        *verb("certificate.yml", "certificate"),
        # Not fresh any more, but with other secrets: all that a first deployment does to them is done again.
        replace(first, rotates=True, short=True),
        replace(again, short=True),
        *on_the_host(),
        *with_acme(),
        *bad_secrets(),
        *beside_secrets(),
        *not_judged(),
        *verb("deploy.yml", "deploy after all that", rotates=True),
        # What the other slot has is the password of before, with which it keeps its sessions, but gets no new ones.
        Run(
            "rollback to another password",
            "rollback.yml",
            before="systemctl restart postgresql",
            fails=True,
            says="503",
        ),
        Run(
            "release before the rollback", "release.yml", ("-e", "release=next", "-e", "app_log_level=ERROR")
        ),
        *verb("rollback.yml", "rollback"),
    ]


def chosen(full: bool) -> list[Run]:
    return [run for run in every() if full or run.short]

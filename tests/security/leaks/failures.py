# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which a run can fail while secrets are at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.techsaas.hardened.tests.security.leaks.canary import Canary, canary, simple
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run, Variables
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site
from labkit import inventory

CERTIFICATE = "/etc/hardened/pki/host.crt"
BACK = f"[ -e {CERTIFICATE} ] && rm {CERTIFICATE}.away || mv {CERTIFICATE}.away {CERTIFICATE}"


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


def _other(name: str) -> Variables:
    """Another good secret than the inventory's."""

    def variables(site: Site) -> Mapping[str, Any]:
        made = canary(name)
        site.search.add([made])
        return {name: made.value}

    return variables


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
        ("release.yml", "app_secret_key", "", ""),
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


UNREADY = ("-e", "app_ready_path=/no-such-path", "-e", "app_ready_deadline=5", "-e", "release=unready")
NO_IMAGE = "registry-1:5000/reference-api@sha256:" + "0" * 64


def on_the_host() -> list[Run]:
    """What fails on the host, at a time when secrets are on their way."""
    return [
        Run(
            "release that does not get ready",
            "release.yml",
            UNREADY,
            fails=True,
            says="no-such-path",
            short=True,
        ),
        Run(
            "image missing, seen before", "deploy.yml", ("-e", f"image={NO_IMAGE}"), fails=True, says="image"
        ),
        Run("image missing", "release.yml", ("-e", f"image={NO_IMAGE}"), fails=True, says="docker"),
        Run(
            "engine stopped",
            "release.yml",
            ("-e", "release=stopped"),
            rotates=True,
            before="systemctl stop docker.socket docker.service",
            after="systemctl start docker.socket docker.service",
            fails=True,
            says="docker",
        ),
        Run(
            "database down",
            "release.yml",
            ("-e", "release=down"),
            rotates=True,
            before="systemctl stop 'postgresql@*'",
            after="systemctl start postgresql",
            fails=True,
            says="Migrate",
        ),
        Run(
            "database refuses the password",
            "provision.yml",
            variables=lambda site: {"postgres_settings": {"default_transaction_read_only": "on"}},
            rotates=True,
            fails=True,
            says="read-only",
        ),
        Run(
            "credential cannot be encrypted",
            "release.yml",
            ("-e", "release=unsealed"),
            rotates=True,
            before="mv /usr/bin/systemd-creds /usr/bin/systemd-creds.away",
            after="mv /usr/bin/systemd-creds.away /usr/bin/systemd-creds",
            fails=True,
            says="systemd-creds",
        ),
        Run(
            "credential is not handed over",
            "release.yml",
            ("-e", "release=absent"),
            before="mount --make-rprivate /",
            after="mount --make-rshared /",
            fails=True,
            says="hardened-app",
        ),
        Run(
            "authority with another passphrase",
            "provision.yml",
            variables=_other("pki_ca_passphrase"),
            before=f"mv {CERTIFICATE} {CERTIFICATE}.away",
            after=BACK,
            fails=True,
            says="Sign it on the controller",
        ),
        Run(
            "rollback to what is not there", "rollback.yml", ("-e", "release=never"), fails=True, says="never"
        ),
        Run(
            "wrong vault password, validate", "validate.yml", wrong_password=True, fails=True, says="[Vv]ault"
        ),
        Run("wrong vault password, deploy", "deploy.yml", wrong_password=True, fails=True, says="[Vv]ault"),
    ]

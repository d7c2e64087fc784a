# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails on the host or on the way to it, while secrets are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.techsaas.hardened.tests.security.leaks.canary import canary, simple
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run, Variables
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site

CERTIFICATE = "/etc/hardened/pki/host.crt"
BACK = f"[ -e {CERTIFICATE} ] && rm {CERTIFICATE}.away || mv {CERTIFICATE}.away {CERTIFICATE}"
WRITABLE = "sed -i /default_transaction_read_only/d /etc/postgresql/*/main/conf.d/*.conf; systemctl reload 'postgresql@*'"
# Of what differs from what serves: anything else is no release.
UNREADY = (
    *("-e", "app_log_level=CRITICAL", "-e", "release=unready"),
    *("-e", "app_ready_path=/no-such-path", "-e", "app_ready_deadline=5"),
)
NO_AUTHORITY = "https://127.0.0.1:1/directory"
NO_IMAGE = "registry-1:5000/reference-api@sha256:" + "0" * 64


def killed() -> list[Run]:
    """At three moments, so that one of them may be when it hurts; what lies around then is not cleared away by anybody."""
    words = ("-e", "release=killed")
    return [
        Run(f"killed after {n} s", "release.yml", words, rotates=True, killed_after=n, fails=True)
        for n in (6, 9, 12)
    ]


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
            after=WRITABLE,
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
        Run("host unreachable", "release.yml", ("-e", "ansible_port=1"), fails=True, says="UNREACHABLE"),
        *killed(),
        Run(
            "rollback to what is not there", "rollback.yml", ("-e", "release=never"), fails=True, says="never"
        ),
        Run(
            "wrong vault password, validate", "validate.yml", wrong_password=True, fails=True, says="[Vv]ault"
        ),
        Run("wrong vault password, deploy", "deploy.yml", wrong_password=True, fails=True, says="[Vv]ault"),
    ]


def with_acme() -> list[Run]:
    """With what binds an account, and with what a DNS provider wants to know, at an authority that does not answer."""
    return [
        Run("certificate, checked, of no authority", "deploy.yml", ("--check",), variables=_acme("http-01")),
        *(
            Run(
                f"{verb}, {challenge}, authority away",
                verb,
                variables=_acme(challenge),
                fails=True,
                says=NO_AUTHORITY,
            )
            for challenge in ("http-01", "dns-01")
            for verb in ("deploy.yml", "certificate.yml")
        ),
    ]


def _acme(challenge: str) -> Variables:
    """An ACME authority that nobody is, and new secrets for it."""

    def variables(site: Site) -> Mapping[str, Any]:
        names = {name: simple(name) for name in ("reverse_proxy_acme_eab_hmac", "acme_dns_token")}
        site.search.add(names.values())
        settings: dict[str, Any] = {
            "reverse_proxy_acme_directory": NO_AUTHORITY,
            "reverse_proxy_acme_email": "ops@example.com",
            "reverse_proxy_acme_terms_agreed": True,
            "reverse_proxy_acme_challenge": challenge,
            "reverse_proxy_acme_eab_kid": "account-1",
            "reverse_proxy_acme_eab_hmac": names["reverse_proxy_acme_eab_hmac"].value,
        }
        if challenge == "dns-01":
            settings["reverse_proxy_acme_dns_provider"] = "cloudflare"
            settings["reverse_proxy_acme_dns_environment"] = {
                "CF_DNS_API_TOKEN": names["acme_dns_token"].value
            }
        return settings

    return variables


def _other(name: str) -> Variables:
    """Another good secret than the inventory's."""

    def variables(site: Site) -> Mapping[str, Any]:
        made = canary(name)
        site.search.add([made])
        return {name: made.value}

    return variables

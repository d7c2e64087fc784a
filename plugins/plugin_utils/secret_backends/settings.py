# SPDX-License-Identifier: GPL-3.0-or-later
"""One configuration of a backend, complete or refused with everything that is missing."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking

from .base import SecretProblem

BACKENDS = ("vault_file", "openbao", "aws")


@dataclass(frozen=True)
class Settings:
    """The lookup's options by name; equal settings share a session."""

    backend: str = "vault_file"
    file: str = ""
    vault_id: str = ""
    registry: str = ""
    url: str = ""
    ca_file: str = ""
    mount: str = "secret"
    path: str = ""
    field: str = "value"
    namespace: str = ""
    auth_mount: str = "approle"
    token_file: str = ""
    role_id_file: str = ""
    secret_id_file: str = ""
    region: str = ""
    profile: str = ""
    credentials_file: str = ""
    deadline: float = 10.0


OPTIONS = tuple(field.name for field in fields(Settings))


def incomplete(backend: str, missing: Iterable[str]) -> SecretProblem:
    return SecretProblem(
        "BACKEND_INCOMPLETE",
        f"the secrets backend {backend} lacks: {'; '.join(missing)}",
        "set what is missing (docs/secrets.md)",
    )


def setting(option: str) -> str:
    return f"hardened_secrets_{option}"


def check_url(url: str) -> None:
    """Refuses what would send secrets in clear, or holds a credential itself."""
    parts = urlsplit(url)
    plain = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if not (parts.scheme == "https" or plain) or not parts.hostname or "@" in parts.netloc or parts.query:
        raise SecretProblem(
            "URL",
            f"{setting('url')} must be https://HOST or https://HOST:PORT, without user and query",
            "for example: https://bao.example.net:8200 (plain http is for loopback addresses only)",
        )


def check_ca_file(path: str) -> None:
    if path and not os.access(path, os.R_OK):
        raise SecretProblem(
            "CA_FILE", f"{setting('ca_file')} cannot be read: {path}", "correct the path or its mode"
        )


def credential(variables: Iterable[str], path: str, option: str) -> str:
    """From the first of the environment's variables that is set, or from the file; empty where neither is given."""
    for variable in variables:
        if os.environ.get(variable, "").strip():
            return secret_masking.register(os.environ[variable].strip())
    if not path:
        return ""
    check_private(path, option)
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return secret_masking.register(file.read().strip())


def check_private(path: str, option: str) -> None:
    """Nobody but its owner may read a file of credentials."""
    try:
        status = os.stat(path)
    except OSError:
        status = None
    if status is None or not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        raise SecretProblem(
            "CREDENTIAL_FILE", f"{setting(option)} cannot be read: {path}", "correct the path or its mode"
        )
    if status.st_mode & 0o077:
        raise SecretProblem(
            "CREDENTIAL_FILE",
            f"{setting(option)} may be read by others than its owner: {path}",
            f"chmod 600 {path}",
        )


def clean(options: dict[str, Any]) -> Settings:
    """Settings from the options of the lookup, where an unset one is None."""
    given = {name: value for name, value in options.items() if value is not None and name in OPTIONS}
    for name in ("path", "mount", "auth_mount"):
        if name in given:
            given[name] = str(given[name]).strip("/")
    settings = Settings(**given)
    if settings.deadline <= 0:
        raise SecretProblem(
            "DEADLINE_OPTION", f"{setting('deadline')} must be more than 0 seconds", "for example: 10"
        )
    return settings


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

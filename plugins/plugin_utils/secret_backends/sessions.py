# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends that this process has opened, one for each configuration."""

from __future__ import annotations

from typing import Any

from .aws import AwsSecretsManager
from .base import Backend, SecretProblem
from .openbao import OpenBao
from .settings import BACKENDS, Settings
from .vault_file import VaultFile

_open: dict[tuple[Settings, int], Backend] = {}


def backend(settings: Settings, loader: Any) -> Backend:
    """Processes that are forked off later find it here too: they connect anew, but need not log in again."""
    key = (settings, id(loader) if settings.backend == "vault_file" else 0)
    if key not in _open:
        _open[key] = _make(settings, loader)
    return _open[key]


def _make(settings: Settings, loader: Any) -> Backend:
    if settings.backend == "openbao":
        return OpenBao(settings)
    if settings.backend == "aws":
        return AwsSecretsManager(settings)
    if settings.backend == "vault_file":
        return VaultFile(settings, loader)
    raise SecretProblem(
        "BACKEND", "hardened_secrets_backend names no backend", f"use one of: {', '.join(BACKENDS)}"
    )

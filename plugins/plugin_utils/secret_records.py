# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret together with what the registry knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_fingerprint import fingerprint

from .secret_backends.base import Backend, Name, Secret
from .secret_generator import KEY, existing
from .secret_registry import Registry


def records(
    backend: Backend, registry_path: str, names: Iterable[Name], with_value: bool
) -> list[dict[str, Any]]:
    registry = Registry(registry_path) if registry_path else None
    secret = existing(backend, KEY)
    key = secret.value if secret else None
    if registry and key:
        registry.verify(key)
    return [_record(name, backend.read(name), registry, key, with_value) for name in names]


def _record(
    name: Name, secret: Secret, registry: Registry | None, key: str | None, with_value: bool
) -> dict[str, Any]:
    known = (registry.entries.get(str(name)) if registry else None) or {}
    mark = fingerprint(secret.value, key) if key else None
    # The registry's date is that of the value it has seen.
    same = bool(known) and known["fingerprint"] == mark
    version = secret.version or (known["version"] if same else None)
    created = secret.created or (known["created"] if same else None)
    record = {"name": str(name), "class": known.get("class"), "version": version, "created": created}
    if with_value:
        return {**record, "value": secret.value}
    earlier = list(known.get("history", []))
    if known and known["version"] != version:
        earlier.insert(0, {part: known[part] for part in ("version", "created", "fingerprint")})
    return {**record, "fingerprint": mark, "history": earlier}

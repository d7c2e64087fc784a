# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes secrets in a backend and keeps the registry true, also when it is killed between the two."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import string
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_fingerprint import fingerprint
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rotation import utc_now
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings

from .secret_backends.base import Backend, Name, Secret, SecretProblem, utc
from .secret_registry import Registry

# Kept in the backend, so that who cannot read the secrets cannot compare fingerprints either.
KEY = Name("hardened_fingerprint_key")
FORMATS = ("base64", "hex", "urlsafe", "alnum")
_ALNUM = string.ascii_letters + string.digits
_ABSENT = ("NOT_FOUND", "KEY_MISSING")


@dataclass(frozen=True)
class Request:
    names: tuple[Name, ...]
    class_name: str
    format: str = "base64"
    length: int = 64
    rotate: bool = False
    check: bool = False
    lock_seconds: float = 30.0


@dataclass
class Row:
    """What becomes of one secret: created, rotated, registered, reclassified, repaired, or unchanged."""

    name: str
    class_name: str
    action: str
    version: str | None
    created: str | None
    before: str = ""
    value: str = field(default="", repr=False)

    def public(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "class": self.class_name,
            "action": self.action,
            "version": self.version,
            "created": self.created,
        }


def _nothing(_step: str) -> None:
    pass


class Generator:
    def __init__(
        self,
        backend: Backend,
        registry_path: str,
        request: Request,
        observe: Callable[[str], None] = _nothing,
    ) -> None:
        self._backend = backend
        self._path = registry_path
        self._request = request
        self._observe = observe

    def run(self) -> list[Row]:
        with exclusively(self._path, self._request.lock_seconds, self._request.check):
            registry = Registry(self._path)
            key = verified_key(self._backend, registry)
            repaired = repair(self._backend, registry, key) if key else []
            rows = [self._plan(registry, name, key) for name in self._request.names]
            if not self._request.check and (repaired or any(row.action != "unchanged" for row in rows)):
                self._apply(registry, rows, key or self._new_key())
        for row in rows:
            if row.action == "unchanged" and row.name in repaired:
                row.action = "repaired"
        return rows

    def _new_key(self) -> str:
        key = new_key(self._backend)
        self._observe("key")
        return key

    def _plan(self, registry: Registry, name: Name, key: str | None) -> Row:
        known = registry.entries.get(str(name))
        current = existing(self._backend, name)
        before = (
            f"version {known['version']} of {known['created'] or 'unknown date'}"
            if known
            else "not registered"
        )
        row = Row(str(name), self._request.class_name, "unchanged", None, None, before)
        if current is None or self._request.rotate:
            row.action = "rotated" if current is not None else "created"
            row.before = before if current is not None else "absent"
            row.version, row.created = registry.next_version(str(name)), utc(utc_now())
            row.value = generate(self._request.format, self._request.length)
            return row
        row.value = current.value
        same = (
            known is not None and key is not None and known["fingerprint"] == fingerprint(current.value, key)
        )
        if known is None or not same:
            row.action = "registered"
            row.version = current.version or registry.next_version(str(name))
            row.created = current.created
            return row
        row.version, row.created = known["version"], known["created"]
        if known["class"] != row.class_name:
            row.action = "reclassified"
        return row

    def _apply(self, registry: Registry, rows: list[Row], key: str) -> None:
        new = [row for row in rows if row.action in ("created", "rotated")]
        for row in new:
            registry.intend(row.name, self._entry(row, key), key)
        registry.save()
        self._observe("intended")
        names = {str(name): name for name in self._request.names}
        if new:
            written = self._backend.write({names[row.name]: row.value for row in new})
            self._observe("written")
            for row in new:
                secret = written[names[row.name]]
                row.version, row.created = secret.version or row.version, secret.created or row.created
        for row in rows:
            if row.action != "unchanged":
                registry.put(row.name, self._entry(row, key), key)
            registry.pending.pop(row.name, None)
        registry.save()
        self._observe("registered")

    def _entry(self, row: Row, key: str) -> dict[str, Any]:
        return {
            "class": row.class_name,
            "version": row.version,
            "created": row.created,
            "fingerprint": fingerprint(row.value, key),
        }


def existing(backend: Backend, name: Name) -> Secret | None:
    """The secret, or None where there is none of that name."""
    try:
        return backend.read(name)
    except SecretProblem as problem:
        if problem.problem_code not in _ABSENT:
            raise
    return None


def verified_key(backend: Backend, registry: Registry) -> str | None:
    """The key of the registry, whose seals are whole; None where no run has made one yet."""
    secret = existing(backend, KEY)
    if secret is not None:
        registry.verify(secret.value)
        return secret.value
    if registry.entries or registry.pending:
        raise SecretProblem(
            "REGISTRY_KEY",
            f"{registry.path} is sealed with a key that is not in {backend.place(KEY)}",
            f"put the secret {KEY} back into the backend, or move the registry away: then all ages are unknown",
        )
    return None


def new_key(backend: Backend) -> str:
    """Before anything else: fingerprints by a key that a killed run took along would be worth nothing."""
    key = generate("alnum", 64)
    backend.write({KEY: key})
    return key


def repair(backend: Backend, registry: Registry, key: str) -> list[str]:
    """Takes over what a killed run has written, and drops what it has not."""
    repaired = []
    for name, intent in list(registry.pending.items()):
        path, _dot, part = name.partition(".")
        secret = existing(backend, Name(path, part or None))
        if secret is not None and fingerprint(secret.value, key) == intent["fingerprint"]:
            entry = {k: v for k, v in intent.items() if k != "seal"}
            entry.update(
                version=secret.version or entry["version"], created=secret.created or entry["created"]
            )
            registry.put(name, entry, key)
        del registry.pending[name]
        repaired.append(name)
    return repaired


def generate(form: str, length: int) -> str:
    """A secret that the collection's own rules accept."""
    for _attempt in range(20):
        value = secret_masking.register(_random(form, length))
        if not findings(value):
            return value
    raise SecretProblem(
        "WEAK", "no secret of this format and length passes the rules", "use length 64, or another format"
    )


def _random(form: str, length: int) -> str:
    if form == "hex":
        return secrets.token_hex(length)[:length]
    if form == "alnum":
        return "".join(secrets.choice(_ALNUM) for _index in range(length))
    raw = secrets.token_bytes(length)
    encoded = base64.urlsafe_b64encode(raw) if form == "urlsafe" else base64.b64encode(raw)
    return encoded.decode("ascii")[:length]


@contextlib.contextmanager
def exclusively(path: str, lock_seconds: float, check: bool = False) -> Iterator[None]:
    """One run at a time for each registry; the kernel frees the lock of a run that was killed."""
    if check:
        yield
        return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    end = time.monotonic() + lock_seconds
    try:
        while not _locked(descriptor):
            if time.monotonic() > end:
                raise SecretProblem(
                    "LOCKED",
                    f"another run is making secrets: {path}.lock has been held for {lock_seconds:g} s",
                    "wait for it, or end it",
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

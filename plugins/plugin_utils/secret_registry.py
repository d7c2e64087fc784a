# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each secret besides its value, in one clear file; changed by programs, read by people.

Each entry carries a seal by a key from the backend, so that an edit by hand is found, and two branches still merge.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_fingerprint
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rotation import moment

from .secret_backends.base import SecretProblem
from .secret_backends.replace import replace

FORMAT = 1
_HISTORY = 10
_CLASS = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MARK = re.compile(r"hmac:[0-9a-f]{16,64}")


class Registry:
    def __init__(self, path: str) -> None:
        self.path = path
        self._before: bytes | None = None
        self.entries: dict[str, dict[str, Any]] = {}
        # Written before the secrets are, and taken back after: what a killed run was about to do.
        self.pending: dict[str, dict[str, Any]] = {}
        self._text = ""
        self._load()

    def verify(self, key: str) -> None:
        """Every seal, or the first broken one as a problem."""
        for kind, entries in (("secrets", self.entries), ("pending", self.pending)):
            for name, entry in entries.items():
                if not hmac.compare_digest(str(entry.get("seal")), _seal(name, entry, key)):
                    raise SecretProblem(
                        "REGISTRY_EDITED",
                        f"{self._place(name, kind)}: the entry {name} was changed by hand, or the key that seals it is another",
                        "restore the file from version control; or delete the entry, and the secret counts as one of unknown age",
                    )

    def put(self, name: str, entry: Mapping[str, Any], key: str) -> None:
        """The newest version; the one before it goes into the history."""
        known = self.entries.get(name)
        history = list(known["history"]) if known else []
        if known and known["fingerprint"] != entry["fingerprint"]:
            history.insert(0, {part: known[part] for part in ("version", "created", "fingerprint")})
        fresh = {**entry, "history": history[:_HISTORY]}
        self.entries[name] = {**fresh, "seal": _seal(name, fresh, key)}

    def intend(self, name: str, entry: Mapping[str, Any], key: str) -> None:
        self.pending[name] = {**entry, "seal": _seal(name, entry, key)}

    def next_version(self, name: str) -> str:
        known = self.entries.get(name)
        return str(int(known["version"]) + 1) if known and str(known["version"]).isdigit() else "1"

    def save(self) -> None:
        document: dict[str, Any] = {"format": FORMAT, "secrets": _listed(self.entries)}
        if self.pending:
            document["pending"] = _listed(self.pending)
        content = (json.dumps(document, indent=2) + "\n").encode("ascii")
        if content != self._before:
            replace(self.path, self._before, content, backup=False)
            self._before, self._text = content, content.decode("ascii")

    def _load(self) -> None:
        try:
            with open(self.path, "rb") as file:
                self._before = file.read()
        except FileNotFoundError:
            return
        except OSError:
            raise self._broken(0, "cannot be read") from None
        self._text = self._before.decode("utf-8", "replace")
        broken = ""
        line = 1
        try:
            document = json.loads(self._text)
        except json.JSONDecodeError as error:
            broken, line = "is no JSON", error.lineno
        if broken:
            raise self._broken(line, broken)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise self._broken(1, f'must be an object with "format": {FORMAT}')
        self.entries = self._checked(document, "secrets", history=True)
        self.pending = self._checked(document, "pending", history=False)

    def _checked(self, document: dict[str, Any], kind: str, history: bool) -> dict[str, dict[str, Any]]:
        rows = document.get(kind, [])
        if not isinstance(rows, list):
            raise self._broken(1, f'"{kind}" must be a list')
        entries: dict[str, dict[str, Any]] = {}
        for row in rows:
            name = str(row.get("name") or "") if isinstance(row, dict) else ""
            wrong = "is there twice" if name in entries else _wrong(row, name, history)
            if wrong:
                raise self._broken(
                    self._line(name, kind), f"the entry {name[:100] or '(without a name)'} {wrong}"
                )
            entries[name] = {part: value for part, value in row.items() if part != "name"}
        return entries

    def _line(self, name: str, kind: str) -> int:
        start = self._text.find(f'"{kind}"')
        found = re.compile(r'"name"\s*:\s*' + re.escape(json.dumps(name))).search(self._text, max(0, start))
        return self._text.count("\n", 0, found.start()) + 1 if found else 1

    def _place(self, name: str, kind: str) -> str:
        return f"{self.path}:{self._line(name, kind)}"

    def _broken(self, line: int, what: str) -> SecretProblem:
        return SecretProblem(
            "REGISTRY",
            f"{self.path}{f':{line}' if line else ''}: {what}",
            "restore it from version control; it is never written by hand",
        )


def default_path(directory: str) -> str:
    return os.path.join(directory, "registry.json")


def _seal(name: str, entry: Mapping[str, Any], key: str) -> str:
    content = {part: value for part, value in entry.items() if part != "seal"}
    return secret_fingerprint.seal(json.dumps([name, content], sort_keys=True), key)


def _listed(entries: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    # Names as values: as keys, what stands under them would look like a secret in clear.
    return [{"name": name, **entry} for name, entry in sorted(entries.items())]


def _wrong(entry: Any, name: str, history: bool) -> str:
    """Why it is no entry; nothing when it is one."""
    if not isinstance(entry, dict) or not name:
        return "must be an object with a name"
    if not _CLASS.fullmatch(str(entry.get("class"))):
        return 'has a "class" that must be lower case letters, digits, and _'
    earlier = entry.get("history") if history else []
    if not isinstance(earlier, list):
        return 'has a "history" that must be a list'
    for row in [entry, *earlier]:
        if not isinstance(row, dict) or not _MARK.fullmatch(str(row.get("fingerprint"))):
            return 'has a "fingerprint" that must be hmac: and hexadecimal digits'
        if row.get("created") is not None and moment(row.get("created")) is None:
            return 'has a "created" that must be a date and time in UTC, for example 2026-01-31T12:00:00Z, or null'
        if not isinstance(row.get("version"), str):
            return 'has a "version" that must be a text'
    return ""


def check_class(name: str) -> str:
    if not _CLASS.fullmatch(name):
        raise SecretProblem(
            "CLASS", "the class must be lower case letters, digits, and _", "for example: service_account"
        )
    return name

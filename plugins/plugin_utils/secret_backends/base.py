# SPDX-License-Identifier: GPL-3.0-or-later
"""What every backend of secrets is: names in, secrets out, and problems that tell no secret."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from ansible.errors import AnsibleError
from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking

_NAME = re.compile(
    r"(?P<path>[A-Za-z0-9_-]{1,100}(?:/[A-Za-z0-9_-]{1,100}){0,8})(?:\.(?P<key>[A-Za-z0-9_-]{1,100}))?"
)


class Secret(NamedTuple):
    """A value; where the backend knows them, also its version and when it was made (UTC, ISO 8601)."""

    value: str
    version: str | None = None
    created: str | None = None


class Name(NamedTuple):
    """NAME, or NAME.KEY where one secret of the backend holds several values."""

    path: str
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.path}.{self.key}" if self.key else self.path


class SecretProblem(AnsibleError):  # type: ignore[misc]
    """A failure by class: `validate` reports the three attributes. Nothing in it may stem from a value or a credential."""

    # What caused it may quote what was sent or received.
    _include_cause_message = False

    def __init__(self, code: str, rule: str, fix: str) -> None:
        self.problem_code = code
        self.problem_rule = secret_masking.mask(rule)
        self.problem_fix = secret_masking.mask(fix)
        super().__init__(f"{code}: {self.problem_rule}. Fix: {self.problem_fix}", show_content=False)

    def again(self) -> SecretProblem:
        return SecretProblem(self.problem_code, self.problem_rule, self.problem_fix)


class Backend(Protocol):
    def read(self, name: Name) -> Secret:
        """The secret, or SecretProblem."""

    def write(self, values: Mapping[Name, str]) -> dict[Name, Secret]:
        """Keeps each value as the newest of its name; what else the backend holds stays as it is."""

    def place(self, name: Name) -> str:
        """Where the secret lies, for messages."""


def parse_name(term: Any) -> Name:
    match = _NAME.fullmatch(term) if isinstance(term, str) else None
    if match is None:
        # Not repeated: it may be a secret in the wrong place.
        raise SecretProblem(
            "NAME",
            "the name of a secret must be letters, digits, - and _, with / between parts and .KEY at the end",
            "for example: app_secret_key, or database.password",
        )
    return Name(match["path"], match["key"])


def not_found(what: str, place: str) -> SecretProblem:
    return SecretProblem(
        "NOT_FOUND", f"{what} is not in {place}", "correct the name, or create it with secret_generate"
    )


def key_missing(name: Name, place: str) -> SecretProblem:
    return SecretProblem(
        "KEY_MISSING",
        f"the secret '{name.path}' in {place} has no key '{name.key}'",
        "correct the key, or add it",
    )


def text_of(value: Any, name: Name) -> str:
    if not isinstance(value, str):
        several = isinstance(value, Mapping)
        raise SecretProblem(
            "NOT_TEXT",
            f"the secret '{name}' must be a text" + (", but holds several keys" if several else ""),
            f"name one of them: {name}.KEY" if several and not name.key else "put its value in quotes",
        )
    # A plain text: without the marks that Ansible's YAML loader leaves on it.
    return secret_masking.register(str.__str__(value))


def library(name: str, backend: str) -> Any:
    # What they log goes to Ansible's own log file, past every mask.
    for chatty in ("botocore", "boto3", "hvac", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    raise SecretProblem(
        "LIBRARY",
        f"the backend {backend} needs the Python package {name} on the controller",
        f"install it where Ansible runs: pip install {name}",
    )


def utc(moment: Any) -> str | None:
    """A datetime, or a text of one, as UTC to the second."""
    if isinstance(moment, str):
        # Fractions may have nine digits, which Python does not read.
        moment = datetime.fromisoformat(re.sub(r"\.\d+", "", moment).replace("Z", "+00:00"))
    if not isinstance(moment, datetime):
        return None
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

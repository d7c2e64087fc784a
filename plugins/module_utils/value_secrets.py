# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the secrets are in a value that may be a list or dictionary of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import Option


def secret_parts(option: Option, value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Where in a value its secrets are, and what they are; empty texts are none."""
    if isinstance(value, str):
        if option.secret and value:
            yield where, value
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from secret_parts(option, item, f"{where}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = (option.options or {}).get(key, option if option.secret else None)
            if inner is not None:
                # A key that is not of the specification may itself be a secret.
                name = f".{key}" if key in (option.options or {}) else ""
                yield from secret_parts(inner, item, where + name)

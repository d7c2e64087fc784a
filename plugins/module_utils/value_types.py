# SPDX-License-Identifier: GPL-3.0-or-later
"""The type of a value against what an option asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding

TYPE_NAMES = {
    "str": "a text",
    "path": "a text (a path)",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a dictionary",
}
_WORDS = {"true", "false", "yes", "no", "on", "off"}
_CASTS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda text: text.lower() in ("true", "yes", "on"),
}


def fits(kind: str, value: Any, loose: bool) -> bool:
    if kind in ("str", "path"):
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool) or (loose and isinstance(value, str) and value.lower() in _WORDS)
    if kind == "int":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            loose and isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value) is not None
        )
    if kind == "float":
        return (isinstance(value, (int, float)) and not isinstance(value, bool)) or (
            loose
            and isinstance(value, str)
            and re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", value) is not None
        )
    if kind == "list":
        return isinstance(value, (list, tuple))
    if kind == "dict":
        return isinstance(value, Mapping)
    return True


def wrong_type(kind: str, value: Any, where: str) -> Finding:
    fixes = {
        "str": "put it in quotes" if isinstance(value, (int, float)) else "write one text, in quotes",
        "bool": "write true or false, without quotes",
        "int": "write the number without quotes and unit",
        "list": "write one item a line, each after a dash",
        "dict": "write 'key: value' lines below it",
    }
    rule = f"must be {TYPE_NAMES.get(kind, kind)}, is {_kind_of(value)}"
    return Finding("TYPE", rule, fixes.get(kind, "correct the type"), where)


def _kind_of(value: Any) -> str:
    for types, name in (
        (bool, "bool"),
        (str, "str"),
        (int, "int"),
        (float, "float"),
        (Mapping, "dict"),
        ((list, tuple), "list"),
    ):
        if isinstance(value, types):
            return TYPE_NAMES[name]
    return "something else"


def typed(kind: str, value: Any) -> Any:
    """A number or boolean that was written as a text, as what it means; everything else as it is."""
    if not isinstance(value, str) or kind not in _CASTS or not fits(kind, value, True):
        return value
    return _CASTS[kind](value)

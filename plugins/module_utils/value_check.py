# SPDX-License-Identifier: GPL-3.0-or-later
"""One value against one option: strict about types, silent about the value itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ansible_collections.techsaas.hardened.plugins.module_utils.nearest_name import nearest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import MISSING, Option
from ansible_collections.techsaas.hardened.plugins.module_utils.value_kinds import FILE_KINDS, KINDS
from ansible_collections.techsaas.hardened.plugins.module_utils.value_types import (
    TYPE_NAMES,
    fits,
    wrong_type,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.whole_kinds import WHOLE_KINDS


class _Manner(NamedTuple):
    """How to look at a value, and at everything inside it."""

    loose: bool
    context: Callable[[str], Iterable[str]] | None
    directory: str


def check(
    option: Option,
    value: Any,
    loose: bool = False,
    context: Callable[[str], Iterable[str]] | None = None,
    directory: str = "",
) -> list[Finding]:
    """Findings for `value`; `loose` is for values that could only be written as texts (templates, -e name=value).

    `context` gives the names that a secret must not contain; `directory` is where paths of the inventory begin.
    """
    return list(_check(option, value, _Manner(loose, context, directory), ""))


def _check(option: Option, value: Any, manner: _Manner, where: str) -> Iterator[Finding]:
    if value is None:
        if option.required:
            yield Finding("REQUIRED", "must be set, but is empty", "give it a value", where)
        elif option.default is not None and option.default is not MISSING and option.type != "raw":
            rule = f"must be {TYPE_NAMES.get(option.type, 'set')}, is empty"
            yield Finding("TYPE", rule, "give it a value, or remove the line", where)
        return
    if not fits(option.type, value, manner.loose):
        yield wrong_type(option.type, value, where)
        return
    if option.choices and not isinstance(value, (list, dict)) and value not in option.choices:
        yield _choice(option, where)
    if (
        isinstance(value, (str, list, dict))
        and not value
        and (option.required or option.check.get("empty") is False)
    ):
        yield Finding("EMPTY", "must not be empty", "give it a value", where)
    elif isinstance(value, list):
        yield from _list(option, value, manner, where)
    elif isinstance(value, dict):
        yield from _dict(option, value, manner, where)
    else:
        yield from _scalar(option, value, manner, where)
    if "whole" in option.check:
        for finding in WHOLE_KINDS[option.check["whole"]](value):
            yield finding._replace(where=where + finding.where)


def _choice(option: Option, where: str) -> Finding:
    # A hidden option must not even say what it may be.
    words = ", ".join(str(choice) for choice in option.choices)
    rule = "must be one of the documented values" if option.secret else f"must be one of: {words}"
    return Finding("CHOICE", rule, "choose one of them", where)


def _list(option: Option, value: Sequence[Any], manner: _Manner, where: str) -> Iterator[Finding]:
    rules = option.check
    if len(value) < rules.get("min_items", 0):
        count = f"{rules['min_items']} item{'s' if rules['min_items'] != 1 else ''}"
        yield Finding("COUNT", f"must have at least {count}", rules.get("fix", "add items"), where)
    if "max_items" in rules and len(value) > rules["max_items"]:
        yield Finding("COUNT", f"must have at most {rules['max_items']} items", "remove items", where)
    if rules.get("unique") or rules.get("kind") == "origin":
        texts = [item for item in value if isinstance(item, str)]
        if len(set(texts)) < len(texts):
            yield Finding("DUPLICATE", "must not have an item twice", "remove the repeated items", where)
    element = Option(
        name=option.name,
        type=option.elements or "raw",
        choices=option.choices,
        secret=option.secret,
        options=option.options,
        required=True,
        check={
            key: rule
            for key, rule in rules.items()
            if key not in ("min_items", "max_items", "unique", "empty", "whole")
        },
    )
    for index, item in enumerate(value):
        yield from _check(element, item, manner, f"{where}[{index}]")


def _dict(option: Option, value: Mapping[Any, Any], manner: _Manner, where: str) -> Iterator[Finding]:
    if option.options is None:
        return
    for key in value:
        if key not in option.options:
            yield _unknown_key(str(key), list(option.options), where)
    for name, inner in option.options.items():
        if name in value:
            yield from _check(inner, value[name], manner, f"{where}.{name}")
        elif inner.required:
            yield Finding("REQUIRED", "must be set", "add this key", f"{where}.{name}")


def _unknown_key(key: str, known: list[str], where: str) -> Finding:
    meant = nearest(key, known)
    # Something that is no plain key may be a value that slipped into its place.
    named = f"key {key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,31}", key) and meant else "a key"
    fix = f"did you mean {meant}?" if meant else f"known keys: {', '.join(sorted(known))}"
    return Finding("UNKNOWN_KEY", f"has {named} that does not exist", fix, where)


def _scalar(option: Option, value: Any, manner: _Manner, where: str) -> Iterator[Finding]:
    rules = option.check
    if isinstance(value, str) and (value or option.required):
        if manner.context is not None and rules.get("kind") == "secret":
            rules = {**rules, "context": manner.context(value)}
        elif rules.get("kind") in FILE_KINDS:
            rules = {**rules, "directory": manner.directory}
        for finding in KINDS[rules.get("kind", "text")](value, rules):
            yield finding._replace(where=where + finding.where)
        if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
            rule = rules.get("rule", "must have the documented form")
            yield Finding("PATTERN", rule, rules.get("fix", "see the description of the option"), where)
        if rules.get("kind") != "secret" and len(value) < rules.get("min_length", 0):
            rule = f"must have at least {rules['min_length']} characters"
            yield Finding("TOO_SHORT", rule, "make it longer", where)
    number = _number(option.type, value)
    if number is not None:
        low, high = rules.get("min"), rules.get("max")
        if (low is not None and number < low) or (high is not None and number > high):
            yield Finding("RANGE", _range_rule(low, high), "choose a number in this range", where)


def _number(kind: str, value: Any) -> float | None:
    if kind not in ("int", "float") or isinstance(value, bool):
        return None
    return float(value)


def _range_rule(low: Any, high: Any) -> str:
    if high is None:
        return f"must be at least {low}"
    return f"must be at most {high}" if low is None else f"must lie between {low} and {high}"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the users' guide, each with its verdict."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import GuideRule

OK, PROBLEM, NOT_JUDGED = "OK", "PROBLEM", "NOT JUDGED"
# After these nothing can be said of the value itself.
UNKNOWN_VALUE = frozenset(("REQUIRED", "EMPTY", "TYPE"))


def verdicts(
    rules: Iterable[GuideRule], problems: Iterable[Mapping[str, Any]], judged: Collection[str]
) -> list[dict[str, str]]:
    """`judged` names the variables whose value was seen on every host that needs it."""
    rows = [(_base(str(row["variable"])), str(row["code"])) for row in problems]
    return [{"rule": rule.name, "says": rule.says, "verdict": _verdict(rule, rows, judged)} for rule in rules]


def guide_table(guide: Iterable[Mapping[str, str]]) -> str:
    """One line a rule, for people; empty without rules."""
    rows = [(str(row["rule"]), str(row["says"]), str(row["verdict"])) for row in guide]
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"  {rule:<{widths[0]}}  {says:<{widths[1]}}  {verdict}" for rule, says, verdict in rows]
    return "\n".join(["The users' guide:", *lines])


def _verdict(rule: GuideRule, rows: list[tuple[str, str]], judged: Collection[str]) -> str:
    codes = [
        code
        for variable, code in rows
        if (not rule.variables or variable in rule.variables) and code not in rule.apart
    ]
    if any(not rule.codes or code in rule.codes for code in codes):
        return PROBLEM
    unknown = bool(rule.variables) and any(code in UNKNOWN_VALUE for code in codes)
    return NOT_JUDGED if unknown or not set(rule.variables) <= set(judged) else OK


def _base(variable: str) -> str:
    match = re.match(r"\w+", variable)
    return match.group() if match else variable

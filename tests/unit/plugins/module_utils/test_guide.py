# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on the rules of the users' guide."""

from __future__ import annotations

from ansible_collections.techsaas.hardened.plugins.module_utils.guide import guide_table, verdicts
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import build

_RULES = build(
    {
        "options": {},
        "guide": [
            {"name": "KEY", "says": "is strong", "variables": ["key"], "apart": ["NOT_DISTINCT"]},
            {"name": "KEYS", "says": "differ", "variables": ["key", "other"], "codes": ["NOT_DISTINCT"]},
            {"name": "ALL", "says": "are sealed", "codes": ["CLEAR_SECRET"]},
        ],
    },
    {},
).guide
_ALL = {"key", "other"}


def _verdicts(*problems: tuple[str, str], judged: set[str] | None = None) -> list[str]:
    rows = [{"variable": variable, "code": code} for variable, code in problems]
    found = verdicts(_RULES, rows, _ALL if judged is None else judged)
    return [row["verdict"] for row in found]


def test_each_problem_breaks_its_own_rules() -> None:
    assert _verdicts() == ["OK", "OK", "OK"]
    assert _verdicts(("key", "TOO_SHORT")) == ["PROBLEM", "OK", "OK"]
    assert _verdicts(("key[2].x", "TOO_SHORT")) == ["PROBLEM", "OK", "OK"]
    assert _verdicts(("key", "NOT_DISTINCT")) == ["OK", "PROBLEM", "OK"]
    assert _verdicts(("any.thing", "CLEAR_SECRET")) == ["OK", "OK", "PROBLEM"]
    assert _verdicts(("keys", "TOO_SHORT")) == ["OK", "OK", "OK"]


def test_what_was_not_seen_is_not_said_to_be_good() -> None:
    assert _verdicts(("other", "TYPE")) == ["OK", "NOT JUDGED", "OK"]
    assert _verdicts(judged={"other"}) == ["NOT JUDGED", "NOT JUDGED", "OK"]


def test_the_table_has_a_line_for_each_rule() -> None:
    lines = guide_table(verdicts(_RULES, [{"variable": "key", "code": "UUID"}], _ALL)).splitlines()
    assert lines == [
        "The users' guide:",
        "  KEY   is strong   PROBLEM",
        "  KEYS  differ      OK",
        "  ALL   are sealed  OK",
    ]
    assert guide_table([]) == ""

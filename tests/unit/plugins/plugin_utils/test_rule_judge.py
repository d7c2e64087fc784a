# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules see values as their options mean them, and a rule that cannot be judged is not passed over in silence."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import build
from ansible_collections.techsaas.hardened.plugins.plugin_utils.rule_judge import RuleJudge
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver

_SPEC = build(
    {
        "options": {
            "low": {"type": "int"},
            "high": {"type": "int"},
            "share": {"type": "float"},
            "flag": {"type": "bool"},
            "words": {"type": "list", "elements": "str"},
        },
        "rules": [
            {"code": "ORDER", "variable": "low", "that": "low < high", "rule": "must be less", "fix": "lower it"},
            {"code": "SHARE", "variable": "share", "that": "share <= 0.5", "rule": "must be small", "fix": "x"},
            {"code": "FLAG", "variable": "flag", "that": "not flag", "rule": "must be off", "fix": "x"},
            {"code": "WORDS", "variable": "words", "that": "words[3] == 'a'", "rule": "must be a", "fix": "x"},
        ],
    },
    {},
)  # fmt: skip


def _codes(variables: dict[str, Any], unusable: tuple[str, ...] = ()) -> list[str]:
    judge = RuleJudge(Resolver(DataLoader()))
    known = {name: trust_as_template(v) if isinstance(v, str) else v for name, v in variables.items()}
    found = []
    for rule in _SPEC.environment.rules:
        if rule.variable in variables:
            broken = judge.finding(rule, _SPEC.environment.options, known, unusable)
            found += [broken.code] if broken else []
    return found


@pytest.mark.parametrize(
    ("low", "high", "codes"),
    [
        (1, 2, []),
        (2, 1, ["ORDER"]),
        ("9", "10", []),
        ("10", 9, ["ORDER"]),
        (9, "10", []),
        ("{{ high }}", "7", ["ORDER"]),
        ("{{ high | int - 1 }}", "7", []),
    ],
)
def test_numbers_given_as_texts_are_numbers(low: Any, high: Any, codes: list[str]) -> None:
    assert _codes({"low": low, "high": high}) == codes


def test_other_types_given_as_texts() -> None:
    assert _codes({"share": "0.25", "flag": "no"}) == []
    assert _codes({"share": "0.75", "flag": "yes"}) == ["SHARE", "FLAG"]


def test_a_rule_that_cannot_be_judged_is_reported_unless_its_variables_are() -> None:
    assert _codes({"words": ["x"]}) == ["WORDS"]
    assert _codes({"low": [1], "high": 2}) == ["ORDER"]
    assert _codes({"low": [1], "high": 2}, unusable=("low",)) == []
    assert _codes({"low": 5, "high": 2}, unusable=("high",)) == []


def test_what_is_known_later_is_judged_later() -> None:
    assert _codes({"low": "{{ ansible_facts.memory }}", "high": 2}) == []

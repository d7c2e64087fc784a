# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over several variables, and conditions, on values as their options mean them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import Option, Rule
from ansible_collections.techsaas.hardened.plugins.module_utils.value_types import typed
from ansible_collections.techsaas.hardened.plugins.plugin_utils.resolve_failure import LATER, UNSET, Outcome
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver

_TEXTUAL = frozenset(("str", "path", "raw", "list", "dict"))


class RuleJudge:
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        # Each entry keeps its value alive, so that an identity is never given to another object.
        self._typed: dict[tuple[str, int], tuple[Any, Any]] = {}

    def finding(
        self,
        rule: Rule,
        options: Mapping[str, Option],
        variables: Mapping[str, Any],
        unusable: Collection[str],
    ) -> Finding | None:
        """What is wrong; `unusable` names variables that are too wrong themselves for a rule to say more."""
        names = self._resolver.names_in(rule.that)
        if not names.isdisjoint(unusable) or rule.variable in unusable:
            return None
        outcome = self.holds(rule.that, options, variables)
        if outcome.value is False:
            return Finding(rule.code, rule.rule, rule.fix)
        if outcome.code and outcome not in (LATER, UNSET):
            others = ", ".join(sorted(names))
            return Finding(rule.code, f"{rule.rule}; that could not be judged", f"correct {others}")
        return None

    def holds(self, expression: str, options: Mapping[str, Option], variables: Mapping[str, Any]) -> Outcome:
        """Whether an expression is true, with numbers and booleans where `-e` gave texts for them."""
        cast = {}
        for name in self._resolver.names_in(expression):
            option = options.get(name)
            if option is not None and option.type not in _TEXTUAL and name in variables:
                value = variables[name]
                meant = self._meant(option.type, value, variables)
                if meant is not value:
                    cast[name] = meant
        return self._resolver.holds(expression, {**variables, **cast} if cast else variables)

    def _meant(self, kind: str, value: Any, variables: Mapping[str, Any]) -> Any:
        if not isinstance(value, str):
            return value
        outcome = self._resolver.resolve(value, variables)
        if outcome.code or not isinstance(outcome.value, str):
            return value
        key = (kind, id(outcome.value))
        if key not in self._typed:
            self._typed[key] = (outcome.value, typed(kind, outcome.value))
        return self._typed[key][1]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of every host against the specification; what hosts share is judged once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import Report
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding, reused
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    MISSING,
    Option,
    Part,
    Rule,
    Specification,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.value_check import check, nearest
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import (
    LATER,
    UNSET,
    Outcome,
    Resolver,
    origin,
)

_FAILURES = {
    "UNDEFINED": ("refers to a variable that is not defined", "define it, or correct the name"),
    "RECURSIVE": ("refers to itself in a circle", "break the circle"),
    "SYNTAX": ("is not a valid template", "correct the braces, quotes, and filters"),
    "VAULT": ("cannot be decrypted", "give the right vault password or vault id, or encrypt the value anew"),
    "LOOKUP": ("comes from a lookup that failed", "make what it looks for available to the controller"),
    "TEMPLATE": ("comes from a template that failed", "correct the template, or what it is made of"),
}


class _Scope:
    """What is asked of all hosts in the same groups."""

    def __init__(self, parts: Sequence[Part], required: Iterable[str]) -> None:
        self.defaults: dict[str, Any] = {}
        for part in parts:
            self.defaults.update(part.defaults)
        options: dict[str, Option] = {}
        for part in parts:
            for option in part.options.values():
                # The environment comes first: a role that repeats one of its options does not loosen it.
                options.setdefault(option.name, option)
        self.options = [(option, self.defaults.get(name, MISSING)) for name, option in options.items()]
        self.required = frozenset(required)
        self.rules = [rule for part in parts for rule in part.rules]
        self.related = [
            o for o in options.values() if o.check.get("distinct_from") or o.check.get("requires")
        ]
        self.needed = {
            name
            for o in self.related
            for name in (o.name, *o.check.get("distinct_from", ()), *o.check.get("requires", ()))
        }


class FleetValidator:
    def __init__(
        self, spec: Specification, resolver: Resolver, shared: Mapping[str, Any], required: Iterable[str] = ()
    ) -> None:
        self._spec = spec
        self._resolver = resolver
        self._shared = shared
        self._required = frozenset(required)
        self._scopes: dict[tuple[str, ...], _Scope] = {}
        # Keyed by identity; the kept value makes sure that the identity stays its own.
        self._judged: dict[tuple[int, int, bool], tuple[Any, list[Finding]]] = {}
        self._clean: set[str] = set()
        self._secrets: dict[str, dict[str, set[str]]] = {}
        self.report = Report()

    def groups(self, groups: Mapping[str, Sequence[str]], required: Iterable[str]) -> None:
        for name in required:
            subject = f"group {name}"
            if name not in groups:
                others = [group for group in groups if group not in ("all", "ungrouped", *self._spec.groups)]
                meant = nearest(name, others)
                fix = (
                    f"did you mean it with {meant}?"
                    if meant
                    else "add it to the inventory, with at least one host"
                )
                self.report.add(subject, "MISSING_GROUP", "must be in the inventory", fix)
            elif not groups[name]:
                self.report.add(subject, "EMPTY_GROUP", "must have a host", "put at least one host into it")

    def host(self, name: str, raw: Mapping[str, Any]) -> None:
        scope = self._scope(tuple(raw.get("group_names") or ()))
        variables: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for option, default in scope.options:
            value = raw.get(option.name, default)
            if value is MISSING:
                if option.required or option.name in scope.required:
                    self.report.add(option.name, "REQUIRED", "must be set", _required_fix(option), name)
                continue
            judged = self._judged.get((id(option), id(value), False))
            if judged is None or option.name in scope.needed:
                variables = variables or {**scope.defaults, **raw, **self._shared}
                found, resolved = self._judge(option, value, variables, name)
                if option.name in scope.needed:
                    values[option.name] = resolved
            else:
                found = judged[1]
                self._remember(option, value, name)
            for finding in found:
                self._add(option.name, finding, name, value)
        self._relate(scope, values, name, raw)
        for rule in scope.rules:
            variables = variables or {**scope.defaults, **raw, **self._shared}
            self._rule(rule, variables, name, raw)
        self._strangers(name, raw)

    def reused_secrets(self) -> None:
        for first, second in reused({name: values.keys() for name, values in self._secrets.items()}):
            hosts = sorted(
                {host for owner in (first, second) for seen in self._secrets[owner].values() for host in seen}
            )
            other = "another host's value" if first == second else f"{first}"
            for host in hosts:
                self.report.add(
                    second,
                    "REUSED",
                    f"must have nothing in common with {other}",
                    "generate each secret for itself: openssl rand -base64 48",
                    host,
                )

    def _scope(self, group_names: tuple[str, ...]) -> _Scope:
        scope = self._scopes.get(group_names)
        if scope is None:
            scope = self._scopes[group_names] = _Scope(self._spec.parts_of(group_names), self._required)
        return scope

    def _judge(
        self, option: Option, value: Any, variables: Mapping[str, Any], host: str
    ) -> tuple[list[Finding], Any]:
        for when, variant in option.variants:
            if self._resolver.holds(when, variables).value is True:
                option = variant
                break
        if self._resolver.is_plain(value):
            outcome = Outcome("", value)
        else:
            outcome = self._resolver.resolve(value, variables)
        if outcome in (LATER, UNSET):
            missing = outcome is UNSET and option.required
            return ([Finding("REQUIRED", "must be set", _required_fix(option))] if missing else []), MISSING
        if outcome.code:
            return [_failed(outcome)], MISSING
        loose = outcome.templated or origin(value).startswith("<CLI")
        key = (id(option), id(outcome.value), loose)
        known = self._judged.get(key)
        if known is None:
            known = self._judged[key] = (outcome.value, check(option, outcome.value, loose))
        self._remember(option, outcome.value, host)
        return known[1], outcome.value

    def _remember(self, option: Option, value: Any, host: str) -> None:
        if option.secret and option.check.get("kind") == "secret" and isinstance(value, str) and value:
            self._secrets.setdefault(option.name, {}).setdefault(str(value), set()).add(host)

    def _relate(self, scope: _Scope, values: Mapping[str, Any], host: str, raw: Mapping[str, Any]) -> None:
        for option in scope.related:
            value = values.get(option.name)
            if value is MISSING or not value:
                continue
            for other in option.check.get("distinct_from", ()):
                if values.get(other) == value:
                    finding = Finding(
                        "NOT_DISTINCT", f"must differ from {other}", "give each a value of its own"
                    )
                    self._add(option.name, finding, host, raw.get(option.name))
            for other in option.check.get("requires", ()):
                if other in values and values[other] is not MISSING and values[other]:
                    continue
                finding = Finding(
                    "INCOMPLETE", f"needs {other} to be set too", f"set {other}, or leave this one unset"
                )
                self._add(option.name, finding, host, raw.get(option.name))

    def _rule(self, rule: Rule, variables: Mapping[str, Any], host: str, raw: Mapping[str, Any]) -> None:
        # An expression that cannot be judged is no news: what it is made of has been reported by itself.
        if self._resolver.holds(rule.that, variables).value is False:
            self._add(rule.variable, Finding(rule.code, rule.rule, rule.fix), host, raw.get(rule.variable))

    def _strangers(self, host: str, raw: Mapping[str, Any]) -> None:
        for name in raw.keys() - self._clean:
            if not name.startswith(self._spec.prefixes) or name in self._spec.known:
                self._clean.add(name)
                continue
            meant = nearest(name, sorted(known for known in self._spec.known if not known.startswith("_")))
            fix = (
                f"did you mean {meant}?"
                if meant
                else "remove it, or give a variable of your own another prefix"
            )
            self._add(name, Finding("UNKNOWN_VARIABLE", "is not an option of any role", fix), host, raw[name])

    def _add(self, variable: str, finding: Finding, host: str, value: Any) -> None:
        place = origin(value) if value is not None and value is not MISSING else ""
        self.report.add(variable + finding.where, finding.code, finding.rule, finding.fix, host, place)


def _failed(outcome: Outcome) -> Finding:
    rule, fix = _FAILURES[outcome.code]
    return Finding(outcome.code, f"{rule}: {outcome.detail}" if outcome.detail else rule, fix)


def _required_fix(option: Option) -> str:
    if option.check.get("kind") == "secret":
        return "generate it into an encrypted vars file: openssl rand -base64 48"
    return "set it in the inventory's group_vars, or with -e"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of every host against the specification; what hosts share is judged once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.guide import UNKNOWN_VALUE
from ansible_collections.techsaas.hardened.plugins.module_utils.known_names import NameIndex, labels
from ansible_collections.techsaas.hardened.plugins.module_utils.nearest_name import nearest
from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import Report
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    MISSING,
    Option,
    Specification,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.value_check import check
from ansible_collections.techsaas.hardened.plugins.module_utils.value_secrets import secret_parts
from ansible_collections.techsaas.hardened.plugins.plugin_utils.clear_secrets import (
    CLEAR,
    SecretFinder,
    inventory_files,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.fleet_checks import report_reused
from ansible_collections.techsaas.hardened.plugins.plugin_utils.host_scope import Scope
from ansible_collections.techsaas.hardened.plugins.plugin_utils.resolve_failure import LATER, UNSET, Outcome
from ansible_collections.techsaas.hardened.plugins.plugin_utils.rule_judge import RuleJudge
from ansible_collections.techsaas.hardened.plugins.plugin_utils.value_place import ClearPlaces, origin
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver

# A value that is so wrong says nothing to a rule.
_UNUSABLE = UNKNOWN_VALUE | {"CHOICE"}
_FAILURES = {
    "UNDEFINED": ("refers to a variable that is not defined", "define it, or correct the name"),
    "RECURSIVE": ("refers to itself in a circle", "break the circle"),
    "SYNTAX": ("is not a valid template", "correct the braces, quotes, and filters"),
    "VAULT": ("cannot be decrypted", "give the right vault password or vault id, or encrypt the value anew"),
    "LOOKUP": ("comes from a lookup that failed", "make what it looks for available to the controller"),
    "TEMPLATE": ("comes from a template that failed", "correct the template, or what it is made of"),
}


class FleetValidator:
    def __init__(
        self,
        spec: Specification,
        resolver: Resolver,
        shared: Mapping[str, Any],
        required: Iterable[str] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        self._spec = spec
        self._resolver = resolver
        self._rules = RuleJudge(resolver)
        self._shared = shared
        self._required = frozenset(required)
        self._hosts = NameIndex(hosts)
        self._labels: dict[str, list[str]] = {}
        self._scopes: dict[tuple[str, ...], Scope] = {}
        # Keyed by identity; the kept value makes sure that the identity stays its own.
        self._judged: dict[tuple[int, int, bool], tuple[Any, list[Finding]]] = {}
        self._clean: set[str] = set()
        self._unseen: set[str] = set()
        self._secrets: dict[str, dict[str, set[str]]] = {}
        self._clear = ClearPlaces()
        self.report = Report()

    @property
    def judged(self) -> set[str]:
        """The options whose values were seen on every host that has them."""
        return {name for scope in self._scopes.values() for name in scope.named} - self._unseen

    def files(self, sources: Iterable[str]) -> None:
        """What stands in clear in the inventory, even where a better value wins over it."""
        finder = SecretFinder(self._spec.secrets())
        for path in inventory_files(sources):
            for variable, line in finder.in_file(path):
                self.report.add(variable, *CLEAR[:3], file=f"{path}:{line}")

    def host(self, name: str, raw: Mapping[str, Any]) -> None:
        scope = self._scope(tuple(raw.get("group_names") or ()))
        variables: dict[str, Any] = {}
        values: dict[str, Any] = {}
        unusable: set[str] = set()
        for option, default, secret in scope.options:
            value = raw.get(option.name, default)
            if value is MISSING:
                if option.required or option.name in scope.required:
                    self.report.add(option.name, "REQUIRED", "must be set", _required_fix(option), name)
                    unusable.add(option.name)
                continue
            judged = self._judged.get((id(option), id(value), False))
            resolved = value
            if judged is None or option.name in scope.needed:
                variables = variables or self._variables(scope, raw)
                found, resolved = self._judge(scope, option, value, variables)
                if option.name in scope.needed:
                    values[option.name] = resolved
            else:
                found = judged[1]
            for finding in found:
                self._add(option.name, finding, name, value)
                if resolved is MISSING or finding.code in _UNUSABLE:
                    unusable.add(option.name)
            if secret and resolved is not MISSING:
                self._secret(option, resolved, value, variables, name)
        self._relate(scope, values, name, raw)
        for rule in scope.rules:
            variables = variables or self._variables(scope, raw)
            broken = self._rules.finding(rule, scope.named, variables, unusable)
            if broken is not None:
                self._add(rule.variable, broken, name, raw.get(rule.variable))
        self._strangers(name, raw)

    def _variables(self, scope: Scope, raw: Mapping[str, Any]) -> dict[str, Any]:
        variables = {**self._shared, **scope.defaults, **raw}
        # Ansible makes it anew for each host; as the same object, it lets hosts share what is made of it.
        common = self._shared.get("inventory_dir")
        if common is not None and variables["inventory_dir"] == common:
            variables["inventory_dir"] = common
        return variables

    def reused_secrets(self) -> None:
        report_reused(self.report, self._secrets)

    def _scope(self, group_names: tuple[str, ...]) -> Scope:
        scope = self._scopes.get(group_names)
        if scope is None:
            scope = self._scopes[group_names] = Scope(self._spec.parts_of(group_names), self._required)
        return scope

    def _judge(
        self, scope: Scope, option: Option, value: Any, variables: Mapping[str, Any]
    ) -> tuple[list[Finding], Any]:
        for when, variant in option.variants:
            if self._rules.holds(when, scope.named, variables).value is True:
                option = variant
                break
        if self._resolver.is_plain(value):
            outcome = Outcome("", value)
        else:
            outcome = self._resolver.resolve(value, variables)
        if outcome in (LATER, UNSET):
            if outcome is LATER:
                self._unseen.add(option.name)
            missing = outcome is UNSET and option.required
            return ([Finding("REQUIRED", "must be set", _required_fix(option))] if missing else []), MISSING
        if outcome.code:
            self._unseen.add(option.name)
            return [_failed(outcome)], MISSING
        loose = outcome.templated or origin(value).startswith("<CLI")
        key = (id(option), id(outcome.value), loose)
        known = self._judged.get(key)
        if known is None:
            found = check(
                option,
                outcome.value,
                loose,
                lambda text: self._context(option, variables, text),
                str(variables.get("inventory_dir") or ""),
            )
            known = self._judged[key] = (outcome.value, found)
        return known[1], outcome.value

    def _context(self, option: Option, variables: Mapping[str, Any], text: str) -> list[str]:
        """Names that the secret `text` has no business to contain."""
        names = [*labels(option.name), *self._hosts.inside(text)]
        for name in self._spec.context:
            value = self._resolver.resolve(variables.get(name, ""), variables).value
            if isinstance(value, str):
                if value not in self._labels:
                    self._labels[value] = labels(value)
                names += self._labels[value]
        return names

    def _secret(
        self, option: Option, value: Any, written: Any, variables: Mapping[str, Any], host: str
    ) -> None:
        """Remembers every secret inside, for comparison, and says which of them anybody can read."""
        for where, text in secret_parts(option, value):
            self._secrets.setdefault(option.name + where, {}).setdefault(text, set()).add(host)
            place = self._clear.of(text, lambda: self._resolver.templates_behind(written, variables))
            if place:
                self.report.add(option.name + where, *CLEAR[:3], host=host, file=place)

    def _relate(self, scope: Scope, values: Mapping[str, Any], host: str, raw: Mapping[str, Any]) -> None:
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
    if outcome.rule:
        return Finding(outcome.code, outcome.rule, outcome.fix)
    rule, fix = _FAILURES[outcome.code]
    return Finding(outcome.code, f"{rule}: {outcome.detail}" if outcome.detail else rule, fix)


def _required_fix(option: Option) -> str:
    if option.check.get("kind") == "secret":
        return "generate it into an encrypted vars file: openssl rand -base64 48"
    return "set it in the inventory's group_vars, or with -e"

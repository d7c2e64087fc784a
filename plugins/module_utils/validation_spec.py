# SPDX-License-Identifier: GPL-3.0-or-later
"""The specification of an inventory's variables, made of the roles' argument specs and the annotations beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.value_kinds import KINDS, SECRET_KINDS
from ansible_collections.techsaas.hardened.plugins.module_utils.whole_kinds import WHOLE_KINDS

MISSING: Any = object()
_ANNOTATIONS = frozenset(
    "kind min_length min max min_items max_items unique pattern rule fix digest reserved empty distinct_from requires"
    " variants required whole".split()
)


class SpecificationError(ValueError):
    """The collection itself is wrong, not an inventory."""


@dataclass(frozen=True, eq=False)
class Option:
    """One variable, or one key of a dictionary. Compared by identity, so that it can key a cache."""

    name: str
    type: str = "str"
    elements: str = ""
    required: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = MISSING
    secret: bool = False
    options: Mapping[str, Option] | None = None
    check: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[tuple[str, Option], ...] = ()


@dataclass(frozen=True, eq=False)
class Rule:
    """Several variables at once: `that` is a Jinja expression, true when all is well."""

    code: str
    variable: str
    that: str
    rule: str
    fix: str


@dataclass(frozen=True)
class GuideRule:
    """A rule of the users' guide, broken by problems of `variables` (of any, when empty) with one of `codes`."""

    name: str
    says: str
    variables: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    # Codes that are another rule's business.
    apart: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Part:
    """What one role, or the environment as a whole, asks for."""

    name: str
    options: Mapping[str, Option]
    defaults: Mapping[str, Any]
    rules: Sequence[Rule]
    guide: Sequence[GuideRule] = ()


@dataclass(frozen=True, eq=False)
class Specification:
    environment: Part
    roles: Mapping[str, Part]
    groups: Mapping[str, Sequence[str]]
    required_groups: Sequence[str]
    optional_groups: Sequence[str]
    prefixes: tuple[str, ...]
    known: frozenset[str]
    # Variables whose values, or the labels of them, are names that a secret must not contain.
    context: tuple[str, ...] = ()
    # Names of variables that are secrets although they are no options, such as Ansible's own passwords.
    foreign_secrets: tuple[str, ...] = ()

    @property
    def guide(self) -> list[GuideRule]:
        return [rule for part in (*self.roles.values(), self.environment) for rule in part.guide]

    def secrets(self) -> dict[str, Option]:
        """Every variable that is a secret, or has one inside."""
        found = {name: Option(name, secret=True) for name in self.foreign_secrets}
        for part in (self.environment, *self.roles.values()):
            found.update((name, option) for name, option in part.options.items() if holds_secret(option))
        return found

    def parts_of(self, group_names: Sequence[str]) -> list[Part]:
        """What a host in these groups (and in `all`) must satisfy."""
        roles = [role for group in ("all", *group_names) for role in self.groups.get(group, ())]
        return [self.environment] + [self.roles[role] for role in dict.fromkeys(roles) if role in self.roles]


def holds_secret(option: Option) -> bool:
    return option.secret or any(holds_secret(inner) for inner in (option.options or {}).values())


def build(environment: Mapping[str, Any], roles: Mapping[str, Mapping[str, Any]]) -> Specification:
    """`roles` gives for each role the parsed files: argument_specs, validation, defaults, vars."""
    parts = {name: _role(name, files) for name, files in roles.items()}
    own = _part("environment", environment.get("options") or {}, {}, environment, {})
    known = set(own.options) | set(environment.get("known") or ())
    for name, part in parts.items():
        known |= (
            set(part.options) | set(roles[name].get("defaults") or {}) | set(roles[name].get("vars") or {})
        )
    return Specification(
        environment=own,
        roles=parts,
        groups={group: tuple(names or ()) for group, names in (environment.get("groups") or {}).items()},
        required_groups=tuple(environment.get("required_groups") or ()),
        optional_groups=tuple(environment.get("optional_groups") or ()),
        prefixes=tuple(environment.get("prefixes") or ()) + tuple(f"{name}_" for name in roles),
        known=frozenset(known),
        context=tuple(environment.get("context") or ()),
        foreign_secrets=tuple(environment.get("foreign_secrets") or ()),
    )


def _role(name: str, files: Mapping[str, Any]) -> Part:
    specs = (files.get("argument_specs") or {}).get("argument_specs") or {}
    merged: dict[str, Any] = {}
    for entry, spec in specs.items():
        for option, body in ((spec or {}).get("options") or {}).items():
            # What only another entry point asks for is known and typed, but need not be there.
            merged.setdefault(option, body if entry == "main" else {**body, "required": False})
    defaults = {**(files.get("defaults") or {}), **(files.get("vars") or {})}
    return _part(
        name,
        merged,
        (files.get("validation") or {}).get("options") or {},
        files.get("validation") or {},
        defaults,
    )


def _part(
    name: str,
    bodies: Mapping[str, Any],
    annotations: Mapping[str, Any],
    extras: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> Part:
    strangers = sorted(set(annotations) - set(bodies))
    if strangers:
        raise SpecificationError(f"{name}: annotated, but no option of the role: {', '.join(strangers)}")
    options = {
        option: _option(option, body or {}, annotations.get(option) or {}) for option, body in bodies.items()
    }
    merged = {option: body.default for option, body in options.items() if body.default is not MISSING}
    merged.update(defaults)
    rules = [rule for raw in extras.get("rules") or () for rule in _rules(raw)]
    guide = [
        GuideRule(
            str(raw["name"]),
            str(raw["says"]),
            *(tuple(raw.get(key) or ()) for key in ("variables", "codes", "apart")),
        )
        for raw in extras.get("guide") or ()
    ]
    return Part(name, options, merged, rules, guide)


def _rules(raw: Mapping[str, Any]) -> list[Rule]:
    """One rule, or with `each` the same for several variables, for whose names `{each}` stands in its texts."""
    texts = [str(raw[key]) for key in ("code", "variable", "that", "rule", "fix")]
    return [Rule(*(text.replace("{each}", each) for text in texts)) for each in raw.get("each") or ("",)]


def _option(name: str, body: Mapping[str, Any], annotation: Mapping[str, Any]) -> Option:
    check = {key: value for key, value in {**body, **annotation}.items() if key in _ANNOTATIONS}
    unknown = sorted(set(annotation) - _ANNOTATIONS - {"options"})
    if unknown:
        raise SpecificationError(f"{name}: no such annotation: {', '.join(unknown)}")
    secret = bool(body.get("no_log")) or check.get("kind") in SECRET_KINDS
    # A hidden text is a secret that must be strong, unless its role says otherwise.
    if secret and "kind" not in check and body.get("type", "str") == "str":
        check["kind"] = "secret"
    if check.get("kind", "text") not in KINDS:
        raise SpecificationError(f"{name}: no such kind: {check['kind']}")
    if "whole" in check and (
        check["whole"] not in WHOLE_KINDS or body.get("type", "str") not in ("list", "dict")
    ):
        raise SpecificationError(f"{name}: no such kind of a whole: {check['whole']}")
    if check.get("kind") == "port":
        check = {"min": 1, "max": 65535, **check}
    inner = body.get("options")
    variants = tuple(
        (
            variant["when"],
            _option(name, _without_when(body, {"default": MISSING}), _without_when(annotation, variant)),
        )
        for variant in check.pop("variants", None) or ()
    )
    return Option(
        name=name,
        type=body.get("type", "str"),
        elements=body.get("elements", ""),
        required=bool(check.pop("required", False)),
        choices=tuple(body.get("choices") or ()),
        default=body.get("default", MISSING),
        secret=secret,
        options=None
        if inner is None
        else {
            key: _option(key, sub or {}, (annotation.get("options") or {}).get(key) or {})
            for key, sub in inner.items()
        },
        check=check,
        variants=variants,
    )


def _without_when(annotation: Mapping[str, Any], variant: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**annotation, **variant}
    return {key: value for key, value in merged.items() if key not in ("when", "variants")}

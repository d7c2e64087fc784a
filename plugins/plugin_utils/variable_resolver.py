# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolves variables of many hosts one by one: every failure is caught and becomes a code, nothing becomes a message.

Compiling a template costs half a millisecond and more. So values without a template are never templated, the plainest
templates are put together here, and everything else is shared between hosts that see the very same ingredients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible.parsing.vault import EncryptedString
from ansible.template import Templar, is_trusted_as_template, trust_as_template
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_masking import mask
from ansible_collections.techsaas.hardened.plugins.plugin_utils.resolve_failure import (
    LATER,
    Outcome,
    failure,
)
from jinja2 import Environment, TemplateSyntaxError, meta, nodes

_ABSENT = object()
_STARTS = ("{{", "{%", "{#")
# These see variables that their text does not name.
_BLIND = re.compile(r"\b(vars|varnames|template|first_found|extract|random|now|password|pipe)\b")
_LOOKUP = re.compile(r"\b(lookup|query|q)\b")
_GLOBALS = frozenset(
    "lookup query q range dict lipsum cycler joiner namespace now undef omit true false none".split()
)
# Known only while a play runs on the host: a value made of them cannot be judged beforehand.
_LATER = re.compile(
    r"_|ansible_(?!check_mode|version|verbosity|inventory_sources|host$|port$|user$)|hardened_host$|item$"
)


class _Every(dict[str, Any]):
    """Filters and tests as if all existed: whether one does is for Ansible's own engine to say."""

    def get(self, key: str, default: Any = None) -> Any:
        return str


_PARSER = Environment(  # noqa: S701 - it parses, it does not render
    extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], keep_trailing_newline=True
)
_PARSER.filters = _Every()
_PARSER.tests = _Every()


# Of these failures only the error's own words tell more, and those may quote a secret.
_WORDLESS = ("TEMPLATE", "LOOKUP", "SYNTAX")
_WORDS = 300


class _Recipe(NamedTuple):
    """A template's names, and its pieces when it is only texts and names."""

    names: frozenset[str]
    pieces: tuple[tuple[bool, str], ...] | None
    shareable: bool
    looks_up: bool = False


class Resolver:
    """`ambient` names variables that lookups read by themselves: their settings. `show_errors` keeps an error's own words."""

    def __init__(self, loader: Any, ambient: Iterable[str] = (), show_errors: bool = False) -> None:
        self._ambient = tuple(ambient)
        self._show_errors = show_errors
        self._templar = Templar(loader=loader, variables={})
        self._recipes: dict[str, _Recipe] = {}
        # Each entry keeps its value alive, so that an identity in a key is never given to another object.
        self._expressions: dict[str, str] = {}
        self._dynamic: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._closures: dict[int, tuple[str, ...]] = {}
        self._outcomes: dict[tuple[Any, ...], tuple[Any, Outcome]] = {}

    def resolve(self, value: Any, variables: Mapping[str, Any]) -> Outcome:
        strings = self._strings(value)
        if not strings:
            return Outcome("", value)
        # Where the same value led to these names before, and all of them are what they were, so is the outcome.
        closure = self._closures.get(id(value))
        if closure is not None:
            known = self._outcomes.get(_key(value, closure, variables))
            if known is not None:
                return known[1]
        names: dict[str, Any] = {}
        shareable = self._walk(strings, variables, names)
        closure = tuple(names)
        # Hidden from templates by play-level magic, or simply absent: which of the two decides what can be said.
        absent = [name for name in names if name not in variables and name not in self._ambient]
        if any(_LATER.match(name) for name in absent):
            outcome = LATER
        else:
            outcome = self._render(value, variables, absent, names)
        if shareable:
            self._closures[id(value)] = closure
            self._outcomes[_key(value, closure, variables)] = ((value, tuple(names.values())), outcome)
        return outcome

    def holds(self, expression: str, variables: Mapping[str, Any]) -> Outcome:
        """The truth of a Jinja expression of the specification, as the value of the outcome."""
        return self.resolve(self._expression(expression), variables)

    def names_in(self, expression: str) -> frozenset[str]:
        """The variables that an expression of the specification names."""
        return self._recipe_of(self._expression(expression)).names

    def _expression(self, expression: str) -> str:
        template = self._expressions.get(expression)
        if template is None:
            template = self._expressions[expression] = trust_as_template(f"{{{{ ({expression}) | bool }}}}")
        return template

    def is_plain(self, value: Any) -> bool:
        return not self._strings(value)

    def templates_behind(self, value: Any, variables: Mapping[str, Any]) -> list[Any]:
        """Every template and encrypted text that a value is made of, however indirectly."""
        names: dict[str, Any] = {}
        strings = self._strings(value)
        self._walk(strings, variables, names)
        return [*strings, *(text for other in names.values() for text in self._strings(other))]

    def _strings(self, value: Any) -> tuple[Any, ...]:
        """The templates and encrypted texts in a value; empty for nearly all values, and remembered."""
        known = self._dynamic.get(id(value))
        if known is None:
            known = (value, tuple(_dynamic_strings(value)))
            self._dynamic[id(value)] = known
        return known[1]

    def _walk(self, strings: tuple[Any, ...], variables: Mapping[str, Any], names: dict[str, Any]) -> bool:
        """Collects everything that the strings depend on, however indirectly; False where that cannot be known."""
        shareable = True
        for text in strings:
            if isinstance(text, EncryptedString):
                continue
            recipe = self._recipe_of(text)
            shareable = shareable and recipe.shareable
            for name in (*recipe.names, *self._ambient) if recipe.looks_up else recipe.names:
                if name not in names and name not in _GLOBALS:
                    names[name] = value = variables.get(name)
                    shareable = self._walk(self._strings(value), variables, names) and shareable
        return shareable

    def _recipe_of(self, text: str) -> _Recipe:
        recipe = self._recipes.get(text)
        if recipe is None:
            recipe = self._recipes[str(text)] = _recipe(text)
        return recipe

    def _render(
        self, value: Any, variables: Mapping[str, Any], absent: list[str], names: Mapping[str, Any]
    ) -> Outcome:
        try:
            simple = self._assemble(value, variables)
            if simple is not None:
                return simple
            self._templar.available_variables = dict(variables)
            return Outcome("", self._templar.template(value), templated=True)
        except Exception as error:
            outcome = failure(error, absent, names)
            if self._show_errors and outcome.code in _WORDLESS:
                words = mask(" ".join(str(error).split()))[:_WORDS]
                outcome = outcome._replace(detail=words)
            # Facts are there, but empty, as long as nobody has gathered them.
            return (
                LATER if outcome.code in ("UNDEFINED", "TEMPLATE") and "ansible_facts" in names else outcome
            )

    def _assemble(self, value: Any, variables: Mapping[str, Any]) -> Outcome | None:
        """Texts with plain names between, as most derived values are; None when the template engine must do it."""
        if isinstance(value, EncryptedString) or not isinstance(value, str):
            return None
        pieces = self._recipe_of(value).pieces
        if pieces is None:
            return None
        parts = []
        for is_name, text in pieces:
            part = self._plain(variables[text], variables) if is_name and text in variables else text
            if is_name and (part is None or text not in variables):
                return None
            parts.append(part)
        if len(parts) == 1:
            # Alone, a name keeps the type of its value.
            return Outcome("", parts[0], templated=True)
        if not all(isinstance(part, str) for part in parts):
            return None
        return Outcome("", "".join(parts), templated=True)

    def _plain(self, value: Any, variables: Mapping[str, Any]) -> Any:
        """A piece as it will be, or None where that is for the template engine to say."""
        if self.is_plain(value):
            return value
        # Without templates in what it refers to, so that a circle ends at the engine and not here.
        if isinstance(value, str) and not isinstance(value, EncryptedString):
            names = self._recipe_of(value).names
            if all(name in variables and self.is_plain(variables[name]) for name in names):
                outcome = self.resolve(value, variables)
                return None if outcome.code else outcome.value
        return None


def _key(value: Any, closure: tuple[str, ...], variables: Mapping[str, Any]) -> tuple[Any, ...]:
    return (id(value), closure, *[id(variables.get(name, _ABSENT)) for name in closure])


def _dynamic_strings(value: Any) -> Iterator[Any]:
    if isinstance(value, EncryptedString):
        yield value
    elif isinstance(value, str):
        if any(start in value for start in _STARTS) and is_trusted_as_template(value):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _dynamic_strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _dynamic_strings(item)


def _recipe(text: str) -> _Recipe:
    try:
        tree = _PARSER.parse(str(text))
        names = frozenset(meta.find_undeclared_variables(tree))
    except TemplateSyntaxError:
        return _Recipe(frozenset(), None, True)
    return _Recipe(names, _pieces(tree), not _BLIND.search(text), bool(_LOOKUP.search(text)))


def _pieces(tree: nodes.Template) -> tuple[tuple[bool, str], ...] | None:
    pieces: list[tuple[bool, str]] = []
    for node in tree.body:
        for part in node.nodes if isinstance(node, nodes.Output) else [node]:
            if isinstance(part, nodes.TemplateData):
                pieces.append((False, part.data))
            elif isinstance(part, nodes.Name) and part.name not in _GLOBALS:
                pieces.append((True, part.name))
            else:
                return None
    return tuple(pieces)

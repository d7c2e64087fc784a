# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of many hosts with the real template engine: outcomes, and what is shared."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.techsaas.hardened.plugins.plugin_utils.resolve_failure import LATER
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver


def _trusted(variables: dict[str, Any]) -> dict[str, Any]:
    return {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in variables.items()
    }


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(DataLoader())


@pytest.mark.parametrize(
    ("text", "code", "value"),
    [
        ("plain", "", "plain"),
        ("{{ host }}.{{ domain }}", "", "h1.lab.internal"),
        ("{{ port }}", "", 8000),
        ("{{ port }}\n", "", 8000),
        ("{{ host }}\n", "", "h1\n"),
        ("{{ hosts | length }}", "", 2),
        ("{{ [host, domain] | join('-') }}", "", "h1-lab.internal"),
        ("{{ nosuch }}", "UNDEFINED", None),
        ("{{ nosuch | default('x') }}", "", "x"),
        ("{{ circle }}", "RECURSIVE", None),
        ("{{ host", "SYNTAX", None),
        ("{{ host | no_such_filter }}", "SYNTAX", None),
        ("{{ 1 / 0 }}", "TEMPLATE", None),
        ("{{ host | ansible.builtin.from_json }}", "TEMPLATE", None),
        ("{{ lookup('file', '/nonexistent') }}", "LOOKUP", None),
    ],
)
def test_outcomes(resolver: Resolver, text: str, code: str, value: Any) -> None:
    variables = _trusted(
        {
            "host": "h1",
            "environment": "lab",
            "domain": "{{ environment }}.internal",
            "port": 8000,
            "hosts": ["a", "b"],
            "circle": "{{ circle2 }}",
            "circle2": "{{ circle }}",
        }
    )
    outcome = resolver.resolve(trust_as_template(text), variables)
    assert (outcome.code, outcome.value) == (code, value)


def test_facts_and_private_variables_are_for_later(resolver: Resolver) -> None:
    for text in (
        "{{ _app_state }}",
        "{{ ansible_facts.hardened_host.address }}",
        "{{ ansible_default_ipv4.address }}",
    ):
        assert resolver.resolve(trust_as_template(text), {"ansible_facts": {}}) is LATER


def test_untrusted_text_is_taken_as_it_is(resolver: Resolver) -> None:
    assert resolver.resolve("{{ host }}", {"host": "h1"}).value == "{{ host }}"


def test_a_value_is_rendered_once_for_hosts_with_the_same_ingredients(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[Any] = []
    render = Resolver._render

    def counting(self: Resolver, *arguments: Any) -> Any:
        rendered.append(arguments[0])
        return render(self, *arguments)

    monkeypatch.setattr(Resolver, "_render", counting)
    shared, text = ["a", "b"], trust_as_template("{{ hosts | join(',') }}")
    for name in ("h1", "h2", "h3"):
        assert resolver.resolve(text, {"hosts": shared, "inventory_hostname": name}).value == "a,b"
    assert len(rendered) == 1
    assert resolver.resolve(text, {"hosts": ["c"]}).value == "c"
    own = trust_as_template("{{ inventory_hostname | upper }}")
    assert [resolver.resolve(own, {"inventory_hostname": name}).value for name in ("h1", "h2")] == [
        "H1",
        "H2",
    ]


def test_a_changed_ingredient_of_an_ingredient_is_seen(resolver: Resolver) -> None:
    text, middle = trust_as_template("{{ middle | upper }}"), trust_as_template("{{ name | lower }}")
    for name in ("A", "B"):
        assert resolver.resolve(text, {"middle": middle, "name": name}).value == name


def test_expressions_of_the_specification(resolver: Resolver) -> None:
    assert resolver.holds("low <= high", {"low": 1, "high": 2}).value is True
    assert resolver.holds("low <= high", {"low": 3, "high": 2}).value is False
    assert resolver.holds("low <= high", {"low": 3}).code == "UNDEFINED"


def test_settings_of_lookups_are_ingredients(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    text = trust_as_template("{{ lookup('file', first) }}")
    resolver = Resolver(DataLoader(), ambient=["setting", "other"])
    known = {"first": str(tmp_path / "a"), "setting": 1}
    assert resolver.resolve(text, known).value == "a"
    (tmp_path / "a").write_text("changed")
    assert resolver.resolve(text, known).value == "a"
    assert resolver.resolve(text, {**known, "setting": 2}).value == "changed"
    missing = trust_as_template("{{ lookup('file', nosuch) }}")
    assert resolver.resolve(missing, known).detail == "nosuch"


def test_the_words_of_an_error_are_shown_only_where_asked_for() -> None:
    text, value = trust_as_template("{{ secret | from_json }}"), "x" + secrets.token_urlsafe(32)
    silent = Resolver(DataLoader()).resolve(text, {"secret": value})
    told = Resolver(DataLoader(), show_errors=True).resolve(text, {"secret": value})
    assert silent.code == told.code == "TEMPLATE"
    assert silent.detail == "filter ansible.builtin.from_json"
    assert "Expecting value" in told.detail

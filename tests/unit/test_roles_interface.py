# SPDX-License-Identifier: GPL-3.0-or-later
"""House rules: meta/argument_specs.yml is the one source of a role's interface."""

from __future__ import annotations

import pytest
import role_readme
from house import ROOT, Option, Role, roles, walk

pytestmark = pytest.mark.parametrize("role", [pytest.param(role, id=role.name) for role in roles()])

PARTS = ("README.md", "defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml")


def every_option(role: Role) -> list[Option]:
    return [option for spec in role.entry_points.values() for option in walk(spec.get("options") or {})]


def test_has_every_part(role: Role) -> None:
    assert [part for part in PARTS if not (role.path / part).is_file()] == []


def test_has_a_scenario(role: Role) -> None:
    assert (ROOT / "molecule" / role.name / "molecule.yml").is_file(), f"molecule/{role.name}/ is missing"


def test_entry_points_are_described(role: Role) -> None:
    assert "main" in role.entry_points
    assert [name for name, spec in role.entry_points.items() if not spec.get("short_description")] == []


def test_options_are_typed_and_described(role: Role) -> None:
    options = every_option(role)
    assert [o.path for o in options if "type" not in o.spec] == [], "no type"
    assert [o.path for o in options if not o.spec.get("description")] == [], "no description"
    assert [o.path for o in options if o.spec.get("type") == "list" and "elements" not in o.spec] == []


def test_options_carry_the_prefix(role: Role) -> None:
    # Names that belong to the whole environment may be asked for here, but never get a default here.
    names = [name for spec in role.entry_points.values() for name in spec.get("options") or {}]
    assert [name for name in names if not name.startswith((role.prefix, "hardened_"))] == []


def test_every_default_is_in_the_spec(role: Role) -> None:
    assert sorted(set(role.defaults) - set(role.options)) == [], "defaults/main.yml knows more than the spec"


def test_every_spec_default_is_a_default(role: Role) -> None:
    spec = {name: option["default"] for name, option in role.options.items() if "default" in option}
    assert role.defaults == spec


def test_required_options_have_no_default(role: Role) -> None:
    assert [o.path for o in every_option(role) if o.spec.get("required") and "default" in o.spec] == []


def test_entry_points_agree(role: Role) -> None:
    for name, spec in role.entry_points.items():
        shared = {key: option for key, option in (spec.get("options") or {}).items() if key in role.options}
        differing = [key for key, option in shared.items() if option.get("type") != role.options[key]["type"]]
        assert differing == [], f"entry point {name} gives another type than main"


def test_readme_table_is_current(role: Role) -> None:
    assert role_readme.problem(role, write=False) is None

# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own specification is sound, and no secret escapes the judgement of its strength."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import Specification, build

_ROOT = Path(__file__).resolve().parents[3]
_FILES = {
    "argument_specs": "meta/argument_specs.yml",
    "validation": "meta/validation.yml",
    "defaults": "defaults/main.yml",
}
_SECRET = re.compile(r"(secret|secret_key|api_key|password|passphrase|token)$")


def _load(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.is_file() else {}


@pytest.fixture(scope="module")
def specification() -> Specification:
    roles = {
        role.name: {kind: _load(role / name) for kind, name in _FILES.items()}
        for role in sorted((_ROOT / "roles").glob("*"))
        if (role / _FILES["argument_specs"]).is_file()
    }
    return build(_load(_ROOT / "meta/environment.yml"), roles)


def test_every_secret_has_a_kind(specification: Specification) -> None:
    options = [option for part in specification.roles.values() for option in part.options.values()]
    named = [option.name for option in options if option.type == "str" and _SECRET.search(option.name)]
    lacking = [option.name for option in options if option.name in named and "kind" not in option.check]
    assert lacking == [], "say `kind: secret` (or `kind: text`) of them in the role's meta/validation.yml"


def test_rules_name_options(specification: Specification) -> None:
    for part in specification.roles.values():
        assert {rule.variable for rule in part.rules} <= set(part.options)


def test_related_options_exist(specification: Specification) -> None:
    for part in specification.roles.values():
        for option in part.options.values():
            for key in ("distinct_from", "requires"):
                assert set(option.check.get(key, ())) <= specification.known, option.name

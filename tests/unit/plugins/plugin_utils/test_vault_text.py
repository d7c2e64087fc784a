# SPDX-License-Identifier: GPL-3.0-or-later
"""One value changes, every other character stays."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.vault_text import (
    UneditableError,
    set_values,
)
from hypothesis import given
from hypothesis import strategies as st

NEW = "b+/=" * 16

TEXT = """\
---
# Keys of the API
app_secret_key: old one  # made in May
"quoted": 'old'
empty:
database:
    # for the application
    user: app
    password: |
      first line
      second line

    # after the block
    port: 5432

inline: !vault |
          $ANSIBLE_VAULT;1.1;AES256
          6162
# the end
list: [a, b]
"""


@pytest.mark.parametrize(
    ("name", "key", "before", "after"),
    [
        ("app_secret_key", None, "app_secret_key: old one  #", f'app_secret_key: "{NEW}"  #'),
        ("quoted", None, "\"quoted\": 'old'", f'"quoted": "{NEW}"'),
        ("empty", None, "empty:\n", f'empty: "{NEW}"\n'),
        ("database", "user", "user: app", f'user: "{NEW}"'),
        ("database", "password", "|\n      first line\n      second line\n", f'"{NEW}"\n'),
        ("database", "port", "5432", f'"{NEW}"'),
        ("database", "fresh", "port: 5432\n", f'port: 5432\n    fresh: "{NEW}"\n'),
        ("inline", None, "!vault |\n          $ANSIBLE_VAULT;1.1;AES256\n          6162\n", f'"{NEW}"\n'),
        ("fresh", None, "[a, b]\n", f'[a, b]\nfresh: "{NEW}"\n'),
        ("fresh", "key", "[a, b]\n", f'[a, b]\nfresh:\n  key: "{NEW}"\n'),
    ],
)
def test_only_that_value_changes(name: str, key: str | None, before: str, after: str) -> None:
    assert TEXT.count(before) == 1
    assert set_values(TEXT, {(name, key): NEW}) == TEXT.replace(before, after)


def test_several_at_once() -> None:
    changed = set_values(TEXT, {("app_secret_key", None): "x", ("database", "user"): "y", ("z", "k"): "z"})
    assert '"x"  # made in May' in changed and 'user: "y"' in changed and changed.endswith('z:\n  k: "z"\n')


@pytest.mark.parametrize(
    "text",
    ["", "---\n", "# only a comment\n", "# no line break", "a: 1", "a: |\n  text\n"],
)
def test_appends_to_whatever_is_there(text: str) -> None:
    changed = set_values(text, {("fresh", None): NEW})
    assert changed.startswith(text) and yaml.safe_load(changed)["fresh"] == NEW


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        ("{a: 1}", "b", None),
        ("- a\n", "a", None),
        ("a: &x 1\nb: *x\n", "b", None),
        ("a: &x 1\nb: *x\n", "a", None),
        ("a: text\n", "a", "key"),
        ("a: {b: 1}\n", "a", "c"),
        ("a:\n  b: 1\n", "a", None),
        ("a: |+\n  text\n\n", "b", None),
        ("a: 1\nb: [\n", "a", None),
    ],
)
def test_refuses_what_it_cannot_change_alone(text: str, name: str, key: str | None) -> None:
    with pytest.raises((UneditableError, yaml.YAMLError)):
        set_values(text, {(name, key): NEW})


_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
_VALUES = st.recursive(
    st.text(max_size=30) | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(_NAMES, _VALUES, max_size=5), _NAMES, st.none() | _NAMES, st.sampled_from([None, False])
)
def test_whatever_is_written_the_rest_reads_the_same(
    document: dict[str, object], name: str, key: str | None, flow: bool | None
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, sort_keys=False, allow_unicode=True)
    try:
        changed = yaml.safe_load(set_values(text, {(name, key): NEW}))
    except UneditableError:
        return
    assert (changed[name] if key is None else changed[name][key]) == NEW
    # Not the document itself: what PyYAML writes of some rare line breaks, it reads as others.
    before = yaml.safe_load(text)
    assert {k: v for k, v in changed.items() if k != name} == {k: v for k, v in before.items() if k != name}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in clear are found by name in whatever form an inventory has; what is sealed or elsewhere is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import build
from ansible_collections.techsaas.hardened.plugins.plugin_utils.clear_secrets import (
    SecretFinder,
    inventory_files,
)

_SPEC = {
    "foreign_secrets": ["ansible_password"],
    "options": {
        "app_key": {"type": "str", "kind": "secret"},
        "app_words": {"type": "list", "elements": "str", "no_log": True},
        "app_port": {"type": "int"},
        "app_files": {
            "type": "list",
            "elements": "dict",
            "options": {"name": {"type": "str"}, "value": {"type": "str", "kind": "secret"}},
        },
    },
}


@pytest.fixture(scope="module")
def finder() -> SecretFinder:
    return SecretFinder(build(_SPEC, {}).secrets())


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("app_key: zebra\n", [("app_key", 1)]),
        ("---\n\napp_port: 1\napp_key: 'zebra'\n", [("app_key", 4)]),
        ("app_key: 12345\n", [("app_key", 1)]),
        ("app_key: |\n  zebra\n  zebra\n", [("app_key", 1)]),
        ("app_key: >-\n\n  zebra\n", [("app_key", 1)]),
        ("app_key: !unsafe '{{ zebra'\n", [("app_key", 1)]),
        ("vault_app_key: zebra\n", [("vault_app_key", 1)]),
        ("ansible_password: zebra\n", [("ansible_password", 1)]),
        ("app_words: [zebra, '{{ x }}', zebra]\n", [("app_words[0]", 1), ("app_words[2]", 1)]),
        ("app_files:\n  - name: A\n    value: zebra\n", [("app_files[0].value", 3)]),
        ("all:\n  hosts:\n    h1:\n      app_key: zebra\n", [("app_key", 4)]),
        ("all:\n  vars: {app_key: zebra}\n", [("app_key", 2)]),
        ("- hosts: all\n  vars:\n    app_key: zebra\n", [("app_key", 3)]),
        ("x: &x {app_key: zebra}\ny:\n  <<: *x\n", [("app_key", 1)]),
        ('{"app_key": "zebra"}', [("app_key", 1)]),
        ("[app]\nh1 app_port=1 app_key=zebra other=1\n[all:vars]\napp_key = 'zebra'\n", [("app_key", 2), ("app_key", 4)]),
        ("app_port: 1\n---\napp_key: zebra\n", [("app_key", 3)]),
        # Broken YAML hides nothing that looks like a line of an INI inventory.
        ("[app\nh1 app_key=zebra\n", [("app_key", 2)]),
    ],
)  # fmt: skip
def test_clear_values_are_found(finder: SecretFinder, text: str, places: list[tuple[str, int]]) -> None:
    assert finder.in_text(text) == places


@pytest.mark.parametrize(
    "text",
    [
        "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "app_key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
        "app_key: \"{{ lookup('techsaas.hardened.secret', 'app_key') }}\"\n",
        "app_key: '{{ vault_app_key }}'\n",
        "app_key:\napp_words: []\n",
        "app_key: ''\n",
        "app_key: null\n",
        "app_port: 1\napp_keys: zebra\nmy_app_key: zebra\n",
        "app_files:\n  - {name: zebra, value: '{{ x }}'}\n",
        # An argument spec describes a variable, it does not set it.
        "options:\n  app_files:\n    type: list\n",
        "# app_key: zebra\nx: 1\n",
        "[all:vars]\n# app_key=zebra\nmy_app_key=zebra\napp_key={{ zebra }}\n",
        "a: &a [app_key, *a]\n",
        "",
    ],
)
def test_what_is_sealed_or_elsewhere_is_left_alone(finder: SecretFinder, text: str) -> None:
    assert finder.in_text(text) == []


def test_a_file_with_a_telling_name_must_be_sealed_altogether(finder: SecretFinder) -> None:
    text = "other: zebra\ndeep:\n  er: zebra\nrefers: '{{ x }}'\n"
    assert finder.in_text(text, "secrets.yml") == [("other", 1), ("deep.er", 3)]
    assert finder.in_text(text, "vault-lab.yaml") == [("other", 1), ("deep.er", 3)]
    assert finder.in_text(text, "main.yml") == []
    # Tasks of a role that is about vaults are no variables.
    assert finder.in_text("- name: x\n", "vault.yml") == []


def test_files_of_an_inventory(tmp_path: Path, finder: SecretFinder) -> None:
    for name in (
        "hosts",
        "group_vars/all",
        "host_vars/h1/x.yml",
        "other/y.yml",
        ".git/z.yml",
        "host_vars/bin",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("app_key: zebra\n")
    (tmp_path / "host_vars/bin").write_bytes(b"app_key: \xff\xfe")
    below = {str(path.relative_to(tmp_path)) for path in inventory_files([str(tmp_path)])}
    assert below == {"hosts", "group_vars/all", "host_vars/h1/x.yml", "other/y.yml", "host_vars/bin"}
    beside = {str(path.relative_to(tmp_path)) for path in inventory_files([str(tmp_path / "hosts"), "h1,"])}
    assert beside == {"hosts", "group_vars/all", "host_vars/h1/x.yml", "host_vars/bin"}
    assert finder.in_file(tmp_path / "group_vars/all") == [("app_key", 1)]
    assert finder.in_file(tmp_path / "host_vars/bin") == []
    assert finder.in_file(tmp_path / "nosuch") == []

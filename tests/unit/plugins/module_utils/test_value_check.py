# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, types, kinds, and what the specification says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.nearest_name import nearest
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    Option,
    SpecificationError,
    build,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.value_check import check

_DIGEST = "sha256:" + "a" * 64


def _codes(value: Any, loose: bool = False, **body: Any) -> list[str]:
    option = build({"options": {"x": body}}, {}).environment.options["x"]
    return [finding.where + finding.code for finding in check(option, value, loose)]


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("str", "x", True),
        ("str", 1.10, False),
        ("str", ["x"], False),
        ("str", {"x": 1}, False),
        ("str", True, False),
        ("int", 5, True),
        ("int", True, False),
        ("int", "5", False),
        ("float", 5, True),
        ("bool", "yes", False),
        ("bool", True, True),
        ("bool", 1, False),
        ("list", "a,b", False),
        ("list", [], True),
        ("dict", [], False),
        ("raw", object(), True),
    ],
)
def test_types_are_strict(kind: str, value: Any, good: bool) -> None:
    assert _codes(value, type=kind) == ([] if good else ["TYPE"])


def test_texts_from_templates_may_be_numbers_and_booleans() -> None:
    assert _codes("5", loose=True, type="int") == []
    assert _codes("yes", loose=True, type="bool") == []
    assert _codes("x5", loose=True, type="int") == ["TYPE"]
    assert _codes("a,b", loose=True, type="list") == ["TYPE"]


def test_required_empty_null_and_choices() -> None:
    assert _codes("", type="str", required=True) == ["EMPTY"]
    assert _codes(None, type="str", required=True) == ["REQUIRED"]
    assert _codes(None, type="str") == []
    assert _codes(None, type="str", default="x") == ["TYPE"]
    assert _codes("c", type="str", choices=["a", "b"]) == ["CHOICE"]
    assert _codes(["a", "c"], type="list", elements="str", choices=["a", "b"]) == ["[1]CHOICE"]


def test_ranges_ports_patterns_and_counts() -> None:
    assert _codes(0, type="int", min=1, max=9) == ["RANGE"]
    assert _codes(70000, type="int", kind="port") == ["RANGE"]
    assert _codes("B", type="str", pattern="[a-z]") == ["PATTERN"]
    assert _codes([], type="list", min_items=1) == ["COUNT"]
    assert _codes(["a", "a"], type="list", elements="str", unique=True) == ["DUPLICATE"]


def test_keys_of_dictionaries_are_checked() -> None:
    options = {"name": {"type": "str", "required": True}, "port": {"type": "int", "kind": "port"}}
    value = [{"name": "a", "prot": 5}, {"port": 0}]
    found = _codes(value, type="list", elements="dict", options=options)
    assert found == ["[0]UNKNOWN_KEY", "[1].nameREQUIRED", "[1].portRANGE"]


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("domain", "api.lab.test", True),
        ("domain", "https://api.lab.test", False),
        ("domain", "api", False),
        ("host", "db-1", True),
        ("host", "2001:db8::1", True),
        ("host", "db_1", False),
        ("image", f"registry.lab.test:5000/api@{_DIGEST}", True),
        ("image", "registry.lab.test:5000/api:1.0", True),
        ("image", "api:1.0", False),
        ("image", "registry.lab.test/Api:1", False),
        ("image", "registry.lab.test/api", False),
        ("image", "registry.lab.test:99999/api:1", False),
        ("image", "registry.lab.test/api@sha256:12", False),
        ("duration", "30s", True),
        ("duration", "30", False),
        ("size", "10m", True),
        ("size", "10MB", False),
        ("rate", "10r/s", True),
        ("address", "192.0.2.300", False),
        ("cidr", "192.0.2.0/24", True),
        ("cidr", "192.0.2.1/24", False),
        ("path", "/etc/x", True),
        ("path", "etc/x", False),
        ("unit", "nginx.service", True),
        ("name", "lab", True),
        ("name", "Lab 1", False),
        ("origin", "https://app.acme.net", True),
        ("origin", "https://app.acme.net:8443", True),
        ("origin", "https://app.acme.net/", False),
        ("origin", "https://app.acme.net:443", False),
        ("origin", "http://app.acme.net", False),
        ("origin", "https://*.acme.net", False),
        ("origin", "*", False),
        ("origin", "null", False),
        ("origin", "https://192.0.2.1", False),
        ("origin", "https://localhost", False),
        ("origin", "https://app.lab.test", False),
        ("origin", "https://App.acme.net", False),
        ("origin", "https://a@app.acme.net", False),
    ],
)
def test_kinds(kind: str, value: str, good: bool) -> None:
    assert bool(_codes(value, type="str", kind=kind)) is not good


def test_origins_are_a_list_without_duplicates() -> None:
    body: dict[str, Any] = {
        "type": "list",
        "elements": "str",
        "kind": "origin",
        "reserved": "allow",
        "min_items": 1,
    }
    assert _codes("https://a.test,https://b.test", **body) == ["TYPE"]
    assert _codes(["https://a.lab.test", "https://a.lab.test"], **body) == ["DUPLICATE"]
    assert _codes(["https://a.lab.test"], **body) == []


def test_a_hidden_option_is_a_secret_unless_it_says_otherwise() -> None:
    assert "TOO_SHORT" in _codes("x", type="str", no_log=True)
    assert _codes("x", type="str", no_log=True, kind="text") == []


def test_findings_do_not_show_values() -> None:
    option = Option("x", choices=("a",), check={"kind": "domain"})
    assert "zebra" not in repr(check(option, "zebra zebra"))


def test_unknown_keys_that_may_be_values_are_not_named() -> None:
    option = build({"options": {"x": {"type": "dict", "options": {"name": {}}}}}, {}).environment.options["x"]
    assert "zebra" not in repr(check(option, {"zebra": 1}))


def test_nearest() -> None:
    assert nearest("app_secrt_key", ["app_secret_key", "app_port"]) == "app_secret_key"
    assert nearest("zzz", ["app_secret_key"]) == ""


def test_wrong_annotations_are_the_collections_fault() -> None:
    specs = {"argument_specs": {"main": {"options": {"r_a": {"type": "str"}}}}}
    with pytest.raises(SpecificationError, match="r_b"):
        build({}, {"r": {"argument_specs": specs, "validation": {"options": {"r_b": {}}}}})
    with pytest.raises(SpecificationError, match="knid"):
        build({}, {"r": {"argument_specs": specs, "validation": {"options": {"r_a": {"knid": "x"}}}}})
    with pytest.raises(SpecificationError, match="nosuch"):
        build({}, {"r": {"argument_specs": specs, "validation": {"options": {"r_a": {"kind": "nosuch"}}}}})


_TASKS = "- name: one\n  ansible.builtin.debug:\n    msg: !vault |\n      $ANSIBLE_VAULT;1.1\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_TASKS, ""),
        ("", "it is empty"),
        ("# nothing\n", "it is empty"),
        ("name: one\n", "it is something else"),
        ("- name: one\n\t- two\n", "it is no YAML at line 2"),
        ("- name: one\n- two\n", "the entry at line 2 is none"),
        ("---\n- name: a play\n  hosts: all\n", "the entry at line 2 is none"),
    ],
)
def test_a_task_file_is_looked_into(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "one.yml").write_text(content, encoding="utf-8")
    body = {"type": "list", "elements": "str", "kind": "task_file"}
    option = build({"options": {"x": body}}, {}).environment.options["x"]
    found = check(option, ["hooks/one.yml"], directory=str(tmp_path))
    assert [(one.where, one.code, one.rule) for one in found] == (
        [("[0]", "TASKS", f"must be a list of tasks: {words}")] if words else []
    )


def test_files_of_the_inventory_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "one.yml").write_text(_TASKS, encoding="utf-8")
    for kind, value in (
        ("task_file", "two.yml"),
        ("task_file", "sql"),
        ("sql_path", "sql"),
        ("sql_path", "x.sql"),
    ):
        option = build({"options": {"x": {"kind": kind}}}, {}).environment.options["x"]
        assert [one.code for one in check(option, value, directory=str(tmp_path))] == ["NO_SUCH_FILE"], value
        assert "zebra" not in repr(check(option, "zebra", directory=str(tmp_path)))
    (tmp_path / "sql" / "1.sql").write_text("", encoding="utf-8")
    option = build({"options": {"x": {"kind": "sql_path"}}}, {}).environment.options["x"]
    for good in ("sql", "sql/1.sql", str(tmp_path / "sql")):
        assert check(option, good, directory=str(tmp_path)) == []

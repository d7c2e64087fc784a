# SPDX-License-Identifier: GPL-3.0-or-later
"""House rules: how tasks, defaults and playbooks are written. Each failure names file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from house import ROOT, Role, load, roles, tasks_in, yaml_files

ROLES = roles()
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
per_role = pytest.mark.parametrize("role", [pytest.param(role, id=role.name) for role in ROLES])
# Rules that hold wherever tasks are written.
per_folder = pytest.mark.parametrize(
    "folder",
    [
        pytest.param(folder, id=str(folder.relative_to(ROOT)))
        for folder in (*(role.path for role in ROLES), ROOT / "playbooks")
        if folder.is_dir()
    ],
)

STAGES = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}
FORBIDDEN = {
    # Failures are not to be ignored: failed_when states what may fail.
    "ignore_errors": re.compile(r"\bignore_errors\s*:"),
    # It hides errors as well as secrets: values are masked, or a variable switches it.
    "no_log": re.compile(r"\bno_log\s*:\s*[\"']?(true|yes)\b", re.I),
    # An owned file is written whole, by config_set.
    "edits": re.compile(r"\b(lineinfile|blockinfile|replace)\s*:"),
}
WORLD = re.compile(r"(?<![\d.])0\.0\.0\.0/0|(?<![\w:])::/0")


def lines_matching(path: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if pattern.search(line) and not line.lstrip().startswith("#"):
            yield f"{path.relative_to(ROOT)}:{number}"


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def too_long(paths: list[Path], limit: int) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {length(path)} lines" for path in paths if length(path) > limit]


def test_roles_are_found() -> None:
    """A layout that hides the roles from these tests must not pass them."""
    assert ROLES or not list(ROOT.glob("roles/*/tasks"))


@per_role
def test_main_only_names_stages(role: Role) -> None:
    main = role.path / "tasks/main.yml"
    others = [task.get("name", task) for task in load(main) or [] if not STAGES & set(task)]
    assert others == [], f"{main.relative_to(ROOT)} may only import stages"
    assert too_long([main], 60) == []


@per_role
def test_files_are_short(role: Role) -> None:
    assert too_long(role.task_files, 150) == []
    assert median(map(length, role.task_files)) <= 50, f"median of roles/{role.name}/tasks is over 50 lines"
    assert too_long(yaml_files(role.path / "defaults"), 120) == []


@per_folder
@pytest.mark.parametrize("habit", FORBIDDEN)
def test_forbidden(folder: Path, habit: str) -> None:
    # Argument specs describe options in words, which may be these; what is hidden is said by its kind, in validation.yml.
    files = [path for path in yaml_files(folder) if habit == "no_log" or "meta" not in path.parts]
    assert [hit for path in files for hit in lines_matching(path, FORBIDDEN[habit])] == []


@per_folder
def test_nothing_is_open_to_the_world(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.suffix in (".yml", ".yaml", ".j2")]
    assert [hit for path in files for hit in lines_matching(path, WORLD)] == []


def number_modes(content: Any) -> Iterator[int]:
    """Values of `mode` that YAML read as numbers: unquoted, and octal only by luck."""
    if isinstance(content, dict):
        if isinstance(content.get("mode"), int):
            yield content["mode"]
        content = list(content.values())
    for item in content if isinstance(content, list) else []:
        yield from number_modes(item)


@per_folder
def test_modes_are_quoted(folder: Path) -> None:
    found = {str(path.relative_to(ROOT)): list(number_modes(load(path))) for path in yaml_files(folder)}
    assert {path: modes for path, modes in found.items() if modes} == {}


def names_set_by(task: dict[str, Any]) -> Iterator[str]:
    """Variables that a task brings into being."""
    if "register" in task:
        yield task["register"]
    if "loop_var" in (control := task.get("loop_control") or {}):
        yield control["loop_var"]
    for source in ("vars", "ansible.builtin.set_fact"):
        yield from (name for name in task.get(source) or {} if name != "cacheable")


@per_role
def test_variables_carry_the_prefix(role: Role) -> None:
    # Ansible's own are set for a task to change how it connects.
    ours = re.compile(rf"_{{0,2}}{role.prefix}|ansible_")
    called_role = re.compile(r"ansible\.builtin\.(import|include)_role")
    strangers = [f"defaults: {name}" for name in role.defaults if not name.startswith(role.prefix)]
    for path in yaml_files(role.path / "vars"):
        strangers += [f"{path.name}: {name}" for name in load(path) or {} if not ours.match(name)]
    for path in (*role.task_files, *yaml_files(role.path / "handlers")):
        for task in tasks_in(load(path)):
            # Another role is called with the other role's names.
            if not any(called_role.match(key) for key in task):
                strangers += [f"{path.name}: {name}" for name in names_set_by(task) if not ours.match(name)]
    assert strangers == [], f"roles/{role.name}: these need the prefix {role.prefix} or _{role.prefix}"


@pytest.mark.parametrize("playbook", [pytest.param(path, id=path.name) for path in PLAYBOOKS])
def test_playbook_is_documented(playbook: Path) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages if page.is_file()]
    assert any(playbook.name in text for text in texts), f"no page in docs/ names {playbook.name}"

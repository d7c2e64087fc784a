# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout's roles and playbooks as objects: what the README generator and the house rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent


class _Loader(yaml.SafeLoader):
    """Reads Ansible's own tags (!vault, !unsafe) as the text they carry."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_scalar(node))


@cache
def load(path: Path) -> Any:
    """The content of a YAML file; None when there is no such file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) if path.is_file() else None  # noqa: S506


def yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".yml", ".yaml") and path.is_file())


@dataclass(frozen=True)
class Option:
    """An option of an argument spec; `path` names where it stands, for example `app_hosts[].port`."""

    path: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def type(self) -> str:
        kind = str(self.spec.get("type", "str"))
        return f"list of {self.spec.get('elements', 'raw')}" if kind == "list" else kind


def walk(options: dict[str, Any], parent: str = "") -> Iterator[Option]:
    """Options and the options inside them, in the order they are written."""
    for name, spec in options.items():
        option = Option(parent + name, spec)
        yield option
        inner = option.path + ("[]." if spec.get("type") == "list" else ".")
        yield from walk(spec.get("options") or {}, inner)


@dataclass(frozen=True)
class Role:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def prefix(self) -> str:
        return self.name.lstrip("_") + "_"

    @property
    def readme(self) -> Path:
        return self.path / "README.md"

    @property
    def entry_points(self) -> dict[str, Any]:
        specs = load(self.path / "meta/argument_specs.yml") or {}
        return dict(specs.get("argument_specs") or {})

    @property
    def options(self) -> dict[str, Any]:
        """The options of the main entry point."""
        return dict((self.entry_points.get("main") or {}).get("options") or {})

    @property
    def defaults(self) -> dict[str, Any]:
        return dict(load(self.path / "defaults/main.yml") or {})

    @property
    def task_files(self) -> list[Path]:
        return yaml_files(self.path / "tasks")


def roles() -> list[Role]:
    folder = ROOT / "roles"
    return [Role(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


def tasks_in(content: Any) -> Iterator[dict[str, Any]]:
    """Every task of a task file or playbook, blocks and their parts included."""
    for item in content if isinstance(content, list) else []:
        if not isinstance(item, dict):
            continue
        if "hosts" not in item:
            yield item
        for section in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks_in(item.get(section))

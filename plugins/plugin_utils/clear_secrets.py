# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret variables that stand in clear in the files of an inventory: names and lines, never values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import yaml
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import Option

CLEAR = Finding(
    "CLEAR_SECRET",
    "must not stand in clear in a file: each copy of it tells, and Ansible itself quotes the lines around an error",
    "move it into a file that ansible-vault encrypt has encrypted; once shared or committed, make a new one",
)
# Whatever these are called, their names promise that all they hold is encrypted.
_SEALED_NAMES = re.compile(r"(secrets|vault[^/]*)\.ya?ml")
_OTHER_PREFIX = "vault_"
_TOO_BIG = 20_000_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"


class Place(NamedTuple):
    variable: str
    line: int


class SecretFinder:
    """Finds secrets by the names that the specification gives them, also as `vault_NAME`."""

    def __init__(self, secrets: Mapping[str, Option]) -> None:
        self._secrets = secrets
        names = "|".join(sorted(map(re.escape, secrets), key=len, reverse=True))
        self._any = re.compile(names or r"(?!)")
        self._line = re.compile(rf"(?<![\w.-])((?:{_OTHER_PREFIX})?(?:{names or '(?!)'}))\s*=\s*([^\s#].*)")

    def in_text(self, text: str, name: str = "") -> list[Place]:
        """The clear secrets of a file, of which `name` is the last part of its path."""
        whole = _SEALED_NAMES.fullmatch(name) is not None
        if text.startswith("$ANSIBLE_VAULT;") or not (whole or self._any.search(text)):
            return []
        try:
            roots = list(yaml.compose_all(text, Loader=_LOADER))
        except (yaml.YAMLError, ValueError, RecursionError):
            return self._in_lines(text)
        if not any(isinstance(root, yaml.CollectionNode) for root in roots):
            return self._in_lines(text)
        found: list[Place] = []
        for root in roots:
            # A list is tasks or plays: only variables can be meant to be secret altogether.
            if whole and isinstance(root, yaml.MappingNode):
                found += _clear_scalars(root, "", set())
            else:
                found += self._in_node(root, set())
        return found

    def in_file(self, path: Path) -> list[Place]:
        try:
            if path.stat().st_size > _TOO_BIG:
                return []
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return []
        return self.in_text(text, path.name)

    def _option(self, name: str) -> Option | None:
        return self._secrets.get(name) or self._secrets.get(name.removeprefix(_OTHER_PREFIX))

    def _in_node(self, node: yaml.Node | None, seen: set[int]) -> Iterator[Place]:
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from self._in_node(item, seen)
            return
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            option = self._option(name)
            if option is not None:
                yield from _in_option(option, value, name, seen)
            else:
                yield from self._in_node(value, seen)

    def _in_lines(self, text: str) -> list[Place]:
        """Of an INI inventory: `name=value`, in a section or behind a host."""
        found = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith(("#", ";")):
                continue
            for match in self._line.finditer(line):
                value = match.group(2).strip("'\"")
                if value and not _refers(value):
                    found.append(Place(match.group(1), number))
        return found


def inventory_files(sources: Iterable[str]) -> Iterator[Path]:
    """Every file that an inventory is made of: a directory's, or those that Ansible reads beside a file."""
    for source in dict.fromkeys(sources):
        path = Path(source)
        if path.is_dir():
            yield from _files_below(path)
        elif path.is_file():
            yield path
            for name in ("group_vars", "host_vars"):
                yield from _files_below(path.parent / name)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (Path(parent, name) for name in sorted(names))


def _in_option(option: Option, node: yaml.Node, name: str, seen: set[int]) -> Iterator[Place]:
    if option.secret:
        yield from _clear_scalars(node, name, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _in_option(option, item, f"{name}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (option.options or {}).get(key.value) if isinstance(key, yaml.ScalarNode) else None
            if inner is not None:
                yield from _in_option(inner, value, f"{name}.{key.value}", seen)


def _clear_scalars(node: yaml.Node, name: str, seen: set[int]) -> Iterator[Place]:
    if isinstance(node, yaml.CollectionNode):
        if id(node) in seen:
            return
        seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _clear_scalars(item, f"{name}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = key.value if isinstance(key, yaml.ScalarNode) else ""
            yield from _clear_scalars(value, f"{name}.{inner}".strip("."), seen)
    elif isinstance(node, yaml.ScalarNode) and _is_clear(node):
        yield Place(name, node.start_mark.line + 1)


def _is_clear(node: yaml.ScalarNode) -> bool:
    if node.tag in ("!vault", "!vault-encrypted", _NULL):
        return False
    return bool(node.value.strip()) and (node.tag == "!unsafe" or not _refers(node.value))


def _refers(value: str) -> bool:
    """A template says where the secret is; what it is, is elsewhere."""
    return "{{" in value or "{%" in value or value.startswith("$ANSIBLE_VAULT;")

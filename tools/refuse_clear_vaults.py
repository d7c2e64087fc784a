# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses variable files named secrets.yml or vault*.yml that hold a value in clear."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

NAMES = re.compile(r"(secrets|vault[^/]*)\.ya?ml")


def clear_values(node: yaml.Node, name: str = "") -> Iterator[str]:
    """Names of the values below `node` that ansible-vault did not encrypt."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from clear_values(value, f"{name}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from clear_values(value, f"{name}[{index}]")
    elif node.tag != "!vault":
        yield name


def problems(path: Path) -> list[str]:
    """Why `path` may not be committed; nothing for files that this rule is not about."""
    if not NAMES.fullmatch(path.name):
        return []
    text = path.read_text(encoding="utf-8")
    if text.startswith("$ANSIBLE_VAULT;"):
        return []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    # A list is tasks or plays: only variables can be secret.
    if not isinstance(root, yaml.MappingNode):
        return []
    return [f"{path}: {name} is in clear; run: ansible-vault encrypt {path}" for name in clear_values(root)]


def main(arguments: list[str]) -> int:
    found = [problem for argument in arguments for problem in problems(Path(argument))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

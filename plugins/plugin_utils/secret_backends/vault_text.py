# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes single values in the text of a YAML file; every other character stays, comments and order with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml


class UneditableError(ValueError):
    """The text cannot be changed without changing what else it says."""


def set_values(text: str, values: Mapping[tuple[str, str | None], str]) -> str:
    """`values` by (name, key or None). The result is parsed again and compared, so that nothing else can have changed."""
    wanted = _wanted(_plain(text), values)
    for (name, key), value in values.items():
        text = _set(text, name, key, json.dumps(value))
    if _plain(text) != wanted:
        raise UneditableError
    return text


def _set(text: str, name: str, key: str | None, value: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        return _append(text, _line("", name, key, value))
    if not isinstance(root, yaml.MappingNode):
        raise UneditableError
    node = _child(root, name)
    if node is None:
        return _append_to(text, root, _line("", name, key, value))
    if key is not None:
        if not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
            raise UneditableError
        parent, node = node, _child(node, key)
        if node is None:
            indent = " " * parent.value[0][0].start_mark.column
            return _append_to(text, parent, _line(indent, key, None, value))
    if not isinstance(node, yaml.ScalarNode):
        raise UneditableError
    start, end = node.start_mark.index, node.end_mark.index
    # A block (| or >) ends where the next token begins; its last line break, and comments after it, stay.
    if node.style in ("|", ">"):
        end = _end_of_block(text, node)
    # After "key:" without a value there is no space yet.
    return text[:start] + ("" if text[:start].endswith((" ", "\n")) else " ") + value + text[end:]


def _end_of_block(text: str, node: yaml.ScalarNode) -> int:
    lines = text[node.start_mark.index : node.end_mark.index].split("\n")
    start = text.rfind("\n", 0, node.start_mark.index) + 1
    indent = len(text[start:]) - len(text[start:].lstrip(" "))
    length = len(lines[0])
    for line in lines[1:]:
        if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
            break
        length += 1 + len(line)
    return node.start_mark.index + len(text[node.start_mark.index :][:length].rstrip("\n"))


def _append_to(text: str, mapping: yaml.MappingNode, line: str) -> str:
    """After the last line of the mapping's last value."""
    if mapping.flow_style or not mapping.value:
        raise UneditableError
    last = mapping.value[-1][1]
    while isinstance(last, (yaml.MappingNode, yaml.SequenceNode)) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    end = last.end_mark.index
    if isinstance(last, yaml.ScalarNode) and last.style in ("|", ">"):
        end = _end_of_block(text, last)
    stop = text.find("\n", end)
    return _append(text, line) if stop < 0 else text[: stop + 1] + line + text[stop + 1 :]


def _append(text: str, line: str) -> str:
    return text + ("\n" if text and not text.endswith("\n") else "") + line


def _line(indent: str, name: str, key: str | None, value: str) -> str:
    return f"{indent}{name}: {value}\n" if key is None else f"{indent}{name}:\n{indent}  {key}: {value}\n"


def _child(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    found: yaml.Node | None = None
    for key, value in mapping.value:
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            # Of two equal keys the last one counts.
            found = value
    return found


def _plain(text: str) -> Any:
    return yaml.load(text, Loader=_Tolerant)  # noqa: S506 - a SafeLoader that keeps tags it does not know


def _wanted(document: Any, values: Mapping[tuple[str, str | None], str]) -> Any:
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise UneditableError
    for (name, key), value in values.items():
        if key is None:
            document[name] = value
        else:
            inner = document.get(name, {})
            if not isinstance(inner, dict):
                raise UneditableError
            document[name] = {**inner, key: value}
    return document


class _Tolerant(yaml.SafeLoader):
    """Keeps what !vault and other tags stand on, to be compared."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return (suffix, node.value)
    return (suffix, yaml.serialize(node))


_Tolerant.add_multi_constructor("!", _tagged)

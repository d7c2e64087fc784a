# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a value was written, and whether it can be read there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

try:
    from ansible._internal._datatag._tags import Origin, VaultedValue
except ImportError:  # pragma: no cover - only the places of values are lost
    Origin = VaultedValue = None

_SEALED = b"$ANSIBLE_VAULT;"


def origin(value: Any) -> str:
    """FILE:LINE that a value was written in, if Ansible knows."""
    tag = Origin.get_tag(value) if Origin is not None else None
    if tag is None or not tag.path:
        return (tag.description or "") if tag is not None and tag.description != "<unknown>" else ""
    return f"{tag.path}:{tag.line_num}" if tag.line_num else str(tag.path)


class ClearPlaces:
    """Tells which values stand in files that anybody with the file can read."""

    def __init__(self) -> None:
        self._sealed: dict[str, bool] = {}
        # Each entry keeps its value alive, so that an identity is never given to another object.
        self._places: dict[int, tuple[Any, str]] = {}

    def of(self, value: str, templates: Callable[[], Iterable[Any]]) -> str:
        """FILE:LINE in which `value` stands in clear, where `templates` gives all that it was perhaps made by.

        Empty for what came from elsewhere: a lookup, an encrypted text or file, the command line, a script.
        """
        known = self._places.get(id(value))
        if known is None:
            known = self._places[id(value)] = (value, self._find(value))
        # What a template made carries the template's own place.
        made = known[1] and Origin.get_tag(value) in [Origin.get_tag(template) for template in templates()]
        return "" if made else known[1]

    def _find(self, value: str) -> str:
        tag = Origin.get_tag(value) if Origin is not None else None
        if tag is None or not tag.path or VaultedValue.get_tag(value) is not None:
            return ""
        return "" if self._is_sealed(str(tag.path)) else origin(value)

    def _is_sealed(self, path: str) -> bool:
        if path not in self._sealed:
            try:
                with open(path, "rb") as file:
                    self._sealed[path] = file.read(len(_SEALED)) == _SEALED
            except OSError:
                self._sealed[path] = True
        return self._sealed[path]

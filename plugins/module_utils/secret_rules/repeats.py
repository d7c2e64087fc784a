# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts that come again, as they are or mirrored, inside one secret or in two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import alphabet

_WITHIN, _WITHIN_HEX = 8, 10
_SHARED = 12
# The search takes the square of the length.
_LOOKED_AT = 2000


def repeats(value: str) -> bool:
    folded = value.casefold()[:_LOOKED_AT]
    size = _WITHIN_HEX if alphabet.size(value) <= 16 else _WITHIN
    seen: set[str] = set()
    for start in range(len(folded) - size + 1):
        part = folded[start : start + size]
        # The mirrored part must lie wholly before this one.
        if part in seen or part[::-1] in folded[:start]:
            return True
        seen.add(part)
    return False


def reused(secrets: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Pairs of names whose values are equal, or derived from each other; a name may have many values."""
    owners: dict[str, tuple[str, str]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for name, values in secrets.items():
        for value in dict.fromkeys(values):
            folded = value.casefold()
            for form in (folded, folded[::-1]):
                for start in range(max(1, len(form) - _SHARED + 1)):
                    part = form[start : start + _SHARED]
                    if len(part) < _SHARED and len(part) < len(form):
                        continue
                    owner = (
                        owners.setdefault(part, (name, value))
                        if form is folded
                        else owners.get(part, (name, value))
                    )
                    if owner[1] != value or owner[0] != name:
                        pairs[(owner[0], name)] = None
    return list(pairs)

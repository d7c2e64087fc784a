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
    owners: dict[str, tuple[str]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for name, values in secrets.items():
        for value in dict.fromkeys(values):
            # Told from the others by its identity.
            me = (name,)
            folded = value.casefold()
            found = [owners.setdefault(part, me) for part in _parts(folded)]
            found += [owners.get(part, me) for part in _parts(folded[::-1])]
            pairs.update(dict.fromkeys((owner[0], name) for owner in found if owner is not me))
    return list(pairs)


def _parts(text: str) -> list[str]:
    return [text[start : start + _SHARED] for start in range(max(1, len(text) - _SHARED + 1))]

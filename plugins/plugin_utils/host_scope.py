# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of all hosts that are in the same groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    MISSING,
    Option,
    Part,
    holds_secret,
)


class Scope:
    def __init__(self, parts: Sequence[Part], required: Iterable[str]) -> None:
        self.defaults: dict[str, Any] = {}
        for part in parts:
            self.defaults.update(part.defaults)
        self.named: dict[str, Option] = {}
        for part in parts:
            for option in part.options.values():
                # The environment comes first: a role that repeats one of its options does not loosen it.
                self.named.setdefault(option.name, option)
        self.options = [
            (option, self.defaults.get(name, MISSING), holds_secret(option))
            for name, option in self.named.items()
        ]
        self.required = frozenset(required)
        self.rules = [rule for part in parts for rule in part.rules]
        self.related = [
            o for o in self.named.values() if o.check.get("distinct_from") or o.check.get("requires")
        ]
        self.needed = {
            name
            for o in self.related
            for name in (o.name, *o.check.get("distinct_from", ()), *o.check.get("requires", ()))
        }

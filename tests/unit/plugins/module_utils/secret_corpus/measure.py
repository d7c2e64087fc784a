# SPDX-License-Identifier: GPL-3.0-or-later
"""What share of each class is judged how; the quick and the full test differ only in their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings

LEAST_TUNED = 0.99
LEAST_HELD_OUT = 0.95


def rejects(make: Callable[[], str], count: int) -> Counter[str]:
    """Codes that genuine secrets were refused with."""
    return Counter(finding.code for _attempt in range(count) for finding in findings(make()))


def catch_rates(classes: Mapping[str, Callable[[Random], str]], count: int, seed: str) -> dict[str, float]:
    """Share of each class that is refused, for values that are long enough."""
    return {name: _caught(make, count, f"{seed} {name}") for name, make in classes.items()}


def report(title: str, rates: Mapping[str, float]) -> float:
    """Print the rates, worst first, and give their mean."""
    mean = sum(rates.values()) / len(rates)
    print(f"\n{title}: {len(rates)} classes, mean {mean:.2%}")
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        print(f"{rate:8.2%}  {name}")
    return mean


def _caught(make: Callable[[Random], str], count: int, seed: str) -> float:
    rng = Random(seed)  # noqa: S311 - weak on purpose, and the same each time
    return sum(bool(findings(make(rng))) for _attempt in range(count)) / count

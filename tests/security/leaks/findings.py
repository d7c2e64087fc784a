# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found where, and the table of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Where is looked, in the order of the table.
SINKS = (
    "output",
    "log file",
    "callback",
    "JUnit file",
    "fact cache",
    "retry file",
    "controller: files left",
    "controller: files written",
    "controller: programs started",
    "machine: argv",
    "machine: environ",
    "host: files left",
    "host: files written",
    "host: programs started",
    "host: journal",
    "host: systemctl show",
    "host: docker inspect",
    "host: docker files",
)
DOCKER_SINKS = frozenset({"host: docker inspect", "host: docker files"})


@dataclass(frozen=True)
class Finding:
    sink: str
    place: str
    canary: str
    form: str

    def __str__(self) -> str:
        return f"{self.sink}: {self.place}: {self.canary} ({self.form})"


def table(control: Sequence[Finding], runs: Sequence[Finding], bytes_seen: Counter[str]) -> str:
    """A line for each sink: how much was looked at, what the control left there, what the runs did."""
    rows = [f"{'sink':32} {'looked at':>12} {'control':>8} {'runs':>5}"]
    for sink in SINKS:
        looked = f"{bytes_seen[sink] / 1024:.0f} KiB"
        rows.append(f"{sink:32} {looked:>12} {count(sink, control):8} {count(sink, runs):5}")
    rows.append(f"{'in all':32} {'':>12} {len(control):8} {len(runs):5}")
    return "\n".join(rows)


def count(sink: str, findings: Iterable[Finding]) -> int:
    return sum(finding.sink == sink for finding in findings)


def listing(findings: Iterable[Finding]) -> str:
    """Every finding once."""
    return "\n".join(f"- {finding}" for finding in dict.fromkeys(findings))

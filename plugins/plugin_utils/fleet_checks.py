# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a fleet as a whole, and with no single host."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Set

from ansible_collections.techsaas.hardened.plugins.module_utils.nearest_name import nearest
from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import Report
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import reused


def report_groups(
    report: Report,
    groups: Mapping[str, Sequence[str]],
    known: Container[str],
    required: Iterable[str],
    optional: Iterable[str] = (),
) -> None:
    """`known` names the groups of the specification, which none of them can have been meant to be.

    An `optional` one may be missing, unless another group's name is nearly its own.
    """
    others = [group for group in groups if group not in ("all", "ungrouped") and group not in known]
    must = list(required)
    for name in [*must, *(one for one in optional if one not in must)]:
        subject = f"group {name}"
        if name not in groups:
            meant = nearest(name, others)
            if meant:
                report.add(
                    subject, "MISSING_GROUP", "must be in the inventory", f"did you mean it with {meant}?"
                )
            elif name in must:
                fix = "add it to the inventory, with at least one host"
                report.add(subject, "MISSING_GROUP", "must be in the inventory", fix)
        elif not groups[name] and name in must:
            report.add(subject, "EMPTY_GROUP", "must have a host", "put at least one host into it")


def report_reused(report: Report, secrets: Mapping[str, Mapping[str, Set[str]]]) -> None:
    """`secrets` gives, for each variable, its values and the hosts that have them."""
    for first, second in reused({name: values.keys() for name, values in secrets.items()}):
        hosts = sorted(
            {host for owner in (first, second) for seen in secrets[owner].values() for host in seen}
        )
        other = "another host's value" if first == second else f"{first}"
        for host in hosts:
            report.add(
                second,
                "REUSED",
                f"must have nothing in common with {other}",
                "generate each secret for itself: openssl rand -base64 48",
                host,
            )

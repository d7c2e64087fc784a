# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that decide on the controller what a release or rollback does to the whole fleet."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.module_utils import lease, releases


def _records(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    facts = variables.get("ansible_facts", {}).get("hardened_host")
    if facts is None:
        # Nothing known must not pass for nothing there: the slot that serves would be filled.
        raise releases.ReleaseError(
            f"{variables.get('inventory_hostname', 'a host')}: nothing is known about it, run techsaas.hardened.host_info first"
        )
    # One that cannot be read must not pass for one that is not there.
    return {**dict.fromkeys(facts.get("records_unreadable", {})), **facts.get("records", {})}


def release_serving(
    hosts: Sequence[Mapping[str, Any]], rollouts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """See release_serving.yml."""
    try:
        records = {variables["inventory_hostname"]: _records(variables) for variables in hosts}
        return releases.serving(records, rollouts)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_plan(
    serving: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]], image: str, wanted: str = ""
) -> dict[str, Any]:
    """See release_plan.yml."""
    unchanged = [not result.get("changed", True) and not result.get("failed") for result in comparisons]
    try:
        return releases.plan(serving, unchanged, image, wanted, datetime.datetime.now(datetime.timezone.utc))
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_rollback(
    hosts: Mapping[str, Mapping[str, Any]],
    wanted: str = "",
    rollouts: Mapping[str, Any] | None = None,
    kept: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    valid: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """See release_rollback.yml."""
    try:
        records = {name: _records(variables) for name, variables in hosts.items()}
        return releases.rollback(records, wanted, rollouts, kept, valid)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_migration(
    hosts: Sequence[Mapping[str, Any]], edges: Mapping[str, Mapping[str, Any]], phase: str
) -> dict[str, Any]:
    """See release_migration.yml."""
    rollouts = {edge: result.get("rollout") or {} for edge, result in edges.items()}
    weights = {edge: result.get("weights") or {} for edge, result in edges.items()}
    try:
        records = {variables["inventory_hostname"]: _records(variables) for variables in hosts}
        return releases.migration(records, rollouts, weights, phase)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_under_way(hosts: Sequence[Mapping[str, Any]], rollouts: Mapping[str, Any]) -> dict[str, Any]:
    """See release_under_way.yml."""
    try:
        records = {variables["inventory_hostname"]: _records(variables) for variables in hosts}
        return releases.under_way(records, rollouts)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_history(hosts: Sequence[Mapping[str, Any]]) -> list[str]:
    """See release_history.yml."""
    try:
        records = {variables["inventory_hostname"]: _records(variables) for variables in hosts}
        kept = {variables["inventory_hostname"]: variables["_app_kept"]["releases"] for variables in hosts}
        return releases.history(records, kept)
    except releases.ReleaseError as error:
        raise AnsibleFilterError(str(error)) from error


def release_lock_words(lock: Mapping[str, Any]) -> str:
    """See release_lock_words.yml."""
    now = time.time()
    if lease.is_held(lock, now):
        return lease.held_by(lock, now)
    return "Nobody holds the lock of the fleet's releases" + (
        f"; the last was {lock['holder']}: {lock['reason']}" if lock else ""
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "release_history": release_history,
            "release_lock_words": release_lock_words,
            "release_migration": release_migration,
            "release_plan": release_plan,
            "release_rollback": release_rollback,
            "release_serving": release_serving,
            "release_under_way": release_under_way,
        }

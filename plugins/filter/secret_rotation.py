# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters about the age and the identity of secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.module_utils import secret_fingerprint as keyed
from ansible_collections.techsaas.hardened.plugins.module_utils import secret_rotation


def rotation_status(
    records: Any,
    policy: Mapping[str, Any] | None = None,
    due_within_days: int | str = secret_rotation.DUE_WITHIN_DAYS,
    now: str | None = None,
) -> list[dict[str, Any]]:
    """See rotation_status.yml."""
    if isinstance(records, Mapping):
        records = [
            {"name": name, **record} for name, record in records.items() if isinstance(record, Mapping)
        ]
    if not isinstance(records, (list, tuple)) or not all(isinstance(record, Mapping) for record in records):
        raise AnsibleFilterError("rotation_status: the records must be a list of dictionaries")
    if policy is not None and not isinstance(policy, Mapping):
        raise AnsibleFilterError("rotation_status: the policy must be a dictionary of days by class")
    moment = secret_rotation.utc_now() if now is None else secret_rotation.moment(now)
    if moment is None:
        raise AnsibleFilterError("rotation_status: now must be a date and time with a zone, in ISO 8601")
    try:
        days = int(due_within_days)
        return secret_rotation.statuses(records, policy or secret_rotation.POLICY, moment, days)
    except ValueError as error:
        raise AnsibleFilterError(f"rotation_status: {error}") from None


def rotation_findings(statuses: Any, is_production: bool = True) -> dict[str, list[Any]]:
    """See rotation_findings.yml."""
    if not isinstance(statuses, (list, tuple)):
        raise AnsibleFilterError(
            "rotation_findings: the statuses must be a list, as rotation_status gives it"
        )
    return secret_rotation.findings(statuses, bool(is_production))


def secret_not_after(
    record: Any,
    policy: Mapping[str, Any] | None = None,
    grace_days: int | str = secret_rotation.GRACE_DAYS,
) -> str:
    """See secret_not_after.yml."""
    if not isinstance(record, Mapping) or not (policy is None or isinstance(policy, Mapping)):
        raise AnsibleFilterError("secret_not_after: the record and the policy must be dictionaries")
    try:
        return secret_rotation.last_day(record, policy or secret_rotation.POLICY, int(grace_days))
    except ValueError as error:
        raise AnsibleFilterError(f"secret_not_after: {error}") from None


def secret_fingerprint(value: str, key: str) -> str:
    """See secret_fingerprint.yml."""
    # The messages must repeat neither.
    if not isinstance(value, str) or not isinstance(key, str) or not value:
        raise AnsibleFilterError(
            "secret_fingerprint: the secret and the key must be texts that are not empty"
        )
    try:
        return keyed.fingerprint(value, key)
    except ValueError as error:
        raise AnsibleFilterError(f"secret_fingerprint: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "rotation_findings": rotation_findings,
            "rotation_status": rotation_status,
            "secret_fingerprint": secret_fingerprint,
            "secret_not_after": secret_not_after,
        }

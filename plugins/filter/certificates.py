# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters on the controller that judge certificates, so that a host whose certificates are fine costs no task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.module_utils import certificates


def certificate_problems(
    certificate: str, authority: str, names: Sequence[str], renew_before_days: int | str = 30
) -> list[str]:
    """See certificate_problems.yml."""
    if not certificates.HAS_CRYPTOGRAPHY:
        raise AnsibleFilterError(
            "certificate_problems needs the Python package cryptography on the controller"
        )
    try:
        # What comes by -e NAME=VALUE is text.
        days = int(renew_before_days)
        return certificates.problems(certificate, authority, names, days)
    except ValueError as error:
        raise AnsibleFilterError(f"certificate_problems: {error}") from error


def certificate_faults(certificate: str, key: str, domain: str, key_type: str = "") -> list[str]:
    """See certificate_faults.yml."""
    if not certificates.HAS_CRYPTOGRAPHY:
        raise AnsibleFilterError("certificate_faults needs the Python package cryptography on the controller")
    return certificates.faults(certificate, key, domain, key_type)


def subject_alt_names(names: Sequence[str]) -> list[str]:
    """See subject_alt_names.yml."""
    return certificates.subject_alt_names(names)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "certificate_faults": certificate_faults,
            "certificate_problems": certificate_problems,
            "subject_alt_names": subject_alt_names,
        }

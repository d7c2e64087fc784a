# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters around the judgement of certificates."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.certificates import FilterModule
from ansible_collections.techsaas.hardened.plugins.module_utils import certificates

FILTERS = FilterModule().filters()
BROKEN = "-----BEGIN CERTIFICATE-----"


def test_names() -> None:
    assert FILTERS["subject_alt_names"](["app-1", "192.0.2.1"]) == ["DNS:app-1", "IP:192.0.2.1"]
    # For clients that look for addresses among the DNS names.
    assert FILTERS["subject_alt_names"](["192.0.2.1", "DNS:192.0.2.1"]) == ["IP:192.0.2.1", "DNS:192.0.2.1"]


def test_problems() -> None:
    assert FILTERS["certificate_problems"]("", "", ["app-1"]) == ["is not there yet"]


def test_days_may_be_text_as_by_extra_vars() -> None:
    assert FILTERS["certificate_problems"]("", "", ["app-1"], renew_before_days="30") == ["is not there yet"]
    with pytest.raises(AnsibleFilterError, match=r"^certificate_problems: .*'soon'"):
        FILTERS["certificate_problems"]("", "", ["app-1"], renew_before_days="soon")


def test_without_cryptography_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "HAS_CRYPTOGRAPHY", False)
    with pytest.raises(AnsibleFilterError, match="needs the Python package cryptography on the controller"):
        FILTERS["certificate_problems"]("", "", ["app-1"])
    with pytest.raises(AnsibleFilterError, match="needs the Python package cryptography on the controller"):
        FILTERS["certificate_faults"]("", "", "api.example.com")

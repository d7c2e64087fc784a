# SPDX-License-Identifier: GPL-3.0-or-later
"""Names inside a secret, whatever their case and separators."""

from __future__ import annotations

from ansible_collections.techsaas.hardened.plugins.module_utils.known_names import NameIndex, labels


def test_names_are_found_folded() -> None:
    index = NameIndex(["gateway-1", "billing.your-company.com", "db-1"])
    assert index.inside("xxGATEWAY_1yy") == ["gateway-1"]
    assert index.inside("B-i-l-l-i-n-g") == ["billing"]
    assert set(index.inside("billing.your-company.com")) >= {"billing", "your-company"}
    assert index.inside("db-1") == [] and index.inside("") == []


def test_labels_of_a_domain_that_mean_something() -> None:
    assert labels("api.your-company.com") == ["api.your-company.com", "your-company"]
    assert labels("lab") == [] and labels("production") == ["production"]

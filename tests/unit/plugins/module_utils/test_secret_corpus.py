# SPDX-License-Identifier: GPL-3.0-or-later
"""A quick look at how many genuine secrets are refused (none) and how many weak ones; tests/security has the full one."""

from __future__ import annotations

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus import (
    held_out,
    tuned_made,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.genuine import (
    GENERATORS,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.measure import (
    LEAST_HELD_OUT,
    LEAST_TUNED,
    catch_rates,
    rejects,
    report,
)

GENUINE = 2000
WEAK = 50


@pytest.mark.parametrize("name", GENERATORS)
def test_genuine_secrets_pass(name: str) -> None:
    assert rejects(GENERATORS[name], GENUINE) == {}


def test_weak_classes_are_caught() -> None:
    assert len(tuned_made.CLASSES) >= 45
    assert report("tuned", catch_rates(tuned_made.CLASSES, WEAK, "quick")) >= LEAST_TUNED


def test_weak_classes_that_nobody_tuned_on_are_caught() -> None:
    assert len(held_out.CLASSES) >= 16
    assert report("held out", catch_rates(held_out.CLASSES, WEAK, "quick")) >= LEAST_HELD_OUT

# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that docs/secrets_strength.md claims, measured anew: pytest -n 0 -s with this file (six minutes)."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus import (
    held_out,
    tuned_made,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.genuine import (
    COMMANDS,
    GENERATORS,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.secret_corpus.measure import (
    LEAST_HELD_OUT,
    LEAST_TUNED,
    catch_rates,
    rejects,
    report,
)

GENUINE = 100_000
WEAK = 1000
REAL = 2000


@pytest.mark.parametrize("name", GENERATORS)
def test_no_genuine_secret_is_refused(name: str) -> None:
    found = rejects(GENERATORS[name], GENUINE)
    print(f"\n{name}: {found.total()} of {GENUINE} refused")
    assert found == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_commands_print_is_accepted(command: str) -> None:
    if not shutil.which(command):
        pytest.skip(f"{command} is not installed")
    values: list[str] = []
    while len(values) < REAL:
        values += subprocess.run(COMMANDS[command], check=True, capture_output=True, text=True).stdout.split()
    assert [codes for codes in map(findings, values) if codes] == []


def test_weak_classes_are_caught() -> None:
    assert report("tuned", catch_rates(tuned_made.CLASSES, WEAK, "full")) >= LEAST_TUNED


def test_weak_classes_that_nobody_tuned_on_are_caught() -> None:
    assert report("held out", catch_rates(held_out.CLASSES, WEAK, "full")) >= LEAST_HELD_OUT

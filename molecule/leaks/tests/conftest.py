# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from ansible_collections.techsaas.hardened.tests.security.leaks import cores, runs
from ansible_collections.techsaas.hardened.tests.security.leaks.campaign import Campaign

CAMPAIGNS = pytest.StashKey[list[Campaign]]()
FULL = os.environ.get("LEAKS") == "full"


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """A fresh host with secrets of its own, and one detector for the control and for the runs."""
    made = Campaign.begin(request.param, full=FULL)
    request.config.stash.setdefault(CAMPAIGNS, []).append(made)
    yield made
    made.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = cores.controllers(FULL)
    metafunc.parametrize(
        "campaign", chosen, ids=[core.core for core in chosen], indirect=True, scope="session"
    )
    if "run" in metafunc.fixturenames:
        every = runs.chosen(FULL)
        metafunc.parametrize("run", every, ids=[run.name for run in every])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for made in config.stash.get(CAMPAIGNS, []):
        terminalreporter.section(f"secrets where they must not be, ansible-core {made.watch.controller.core}")
        terminalreporter.write_line(made.summary())

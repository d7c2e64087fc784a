# SPDX-License-Identifier: GPL-3.0-or-later
"""The module on a host that is no edge yet; what it does on one, the scenario rollout shows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules import calling

BUNDLE = {"release": "one", "image": "api@sha256:1", "slot": "blue", "token": 1}


def call(check: bool = False, **options: Any) -> dict[str, Any]:
    # Where no edge is, whatever this machine is.
    nowhere = "module.rollout_state.LINKS = '/nonexistent/slots'"
    return calling.call("rollout", {**BUNDLE, **options}, prepare=nowhere, check=check)


def test_a_plan_for_a_host_that_has_nothing_yet() -> None:
    planned = call(check=True, state="promoted")
    assert (planned["changed"], planned["rollout"]["phase"], planned["rollout"]["weight"]) == (
        True,
        "confirmed",
        100,
    )
    assert call(check=True, state="aborted")["changed"] is False


def test_nothing_is_moved_where_nothing_could_be() -> None:
    assert call(state="promoted")["msg"].endswith("is no directory; provision.yml makes it")


@pytest.mark.parametrize("weight", [-1, 100])
def test_a_weight_that_is_none(weight: int) -> None:
    assert "must be from 0 to 99" in call(state="canary", weight=weight)["msg"]


def test_where_the_links_lead_is_told_where_there_are_any() -> None:
    assert call(state="read")["weights"] == {}

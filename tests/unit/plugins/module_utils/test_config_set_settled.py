# SPDX-License-Identifier: GPL-3.0-or-later
"""A set counts as settled only while a run of it would find nothing to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import (
    ARGUMENT_SPEC,
    digest,
    pack,
    to_spec,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.settled import remember, settled
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.config_set_fakes import (
    ME,
    MY_GROUP,
    Universe,
)

UNIT = "demo.service"
OWNERS = {"owner": ME, "group": MY_GROUP}


@pytest.fixture
def universe() -> Iterator[Universe]:
    made = Universe()
    (made.etc / "watched").write_text("certificate")
    yield made
    made.close()


def arguments(universe: Universe, **more: Any) -> dict[str, Any]:
    """As the action plugin sends them."""
    given = {
        "name": "demo",
        "files": [{"path": universe.path("own/main.conf"), **OWNERS}],
        "directories": [{"path": universe.path("own"), "purge": True, **OWNERS}],
        "watch": [universe.path("watched")],
        "services": [{"name": UNIT, "enabled": True}],
        "contents": pack({universe.path("own/main.conf"): b"one"}),
        **more,
    }
    validated = ArgumentSpecValidator(ARGUMENT_SPEC).validate(given)
    assert validated.error_messages == []
    sent: dict[str, Any] = validated.validated_parameters
    return {**sent, "digest": digest(sent)}


def apply(universe: Universe, sent: dict[str, Any]) -> None:
    engine = universe.engine(to_spec(sent))
    engine.apply()
    remember(engine.directory, sent)


def known(universe: Universe) -> dict[str, str]:
    return settled(universe.manager, str(universe.state))


def test_a_set_that_was_put_in_place_is_settled(universe: Universe) -> None:
    assert known(universe) == {}
    sent = arguments(universe)
    apply(universe, sent)
    assert known(universe) == {"demo": sent["digest"]}


def test_looking_changes_nothing(universe: Universe) -> None:
    apply(universe, arguments(universe))
    (universe.etc / "own/main.conf").write_text("two")
    before = (universe.snapshot(), universe.services(), universe.state_files())
    known(universe)
    assert (universe.snapshot(), universe.services(), universe.state_files()) == before


@pytest.mark.parametrize(
    "disturb",
    [
        lambda u: (u.etc / "own/main.conf").write_text("two"),
        lambda u: (u.etc / "own/main.conf").chmod(0o600),
        lambda u: (u.etc / "own/main.conf").unlink(),
        lambda u: (u.etc / "own/stranger").write_text(""),
        lambda u: (u.etc / "watched").write_text("renewed"),
        lambda u: u.manager.update(UNIT, running=False),
        lambda u: u.manager.update(UNIT, enabled=False),
        lambda u: (u.state / "demo/wanted.json").write_text("{"),
        lambda u: (u.state / "demo/wanted.json").write_text('{"name": "demo"}'),
        lambda u: (u.state / "demo/manifest.json").unlink(),
        # Its record says something else than what is remembered of it: a run that was killed between the two.
        lambda u: u.apply(to_spec({**arguments(u), "digest": "another"})),
    ],
)
def test_whatever_a_run_would_mend_unsettles_it(
    universe: Universe, disturb: Callable[[Universe], object]
) -> None:
    apply(universe, arguments(universe))
    disturb(universe)
    assert known(universe) == {}


@pytest.mark.parametrize("damage", ["{", "[]", ""])
def test_a_damaged_memory_is_replaced(universe: Universe, damage: str) -> None:
    sent = arguments(universe)
    apply(universe, sent)
    (universe.state / "demo/wanted.json").write_text(damage)
    apply(universe, sent)
    assert known(universe) == {"demo": sent["digest"]}


@pytest.mark.parametrize("step", ["swapped", "probe", "commit", "manifest", "forget"])
def test_a_killed_run_unsettles_it(universe: Universe, step: str) -> None:
    apply(universe, arguments(universe))
    changed = arguments(
        universe,
        contents=pack({universe.path("own/main.conf"): b"two"}),
        probe=[{"command": ["true"]}],
    )
    assert universe.apply_and_die(to_spec(changed), step)
    assert known(universe) == {}


def test_of_several_sets_only_the_disturbed_one_is_not_settled(universe: Universe) -> None:
    other = arguments(universe, name="other", files=[], directories=[], watch=[], contents=pack({}))
    apply(universe, arguments(universe))
    apply(universe, other)
    (universe.etc / "own/main.conf").write_text("two")
    assert known(universe) == {"other": other["digest"]}


def test_a_set_with_secrets_is_not_remembered(universe: Universe) -> None:
    apply(universe, arguments(universe))
    with_secrets = {**arguments(universe, secrets=["a secret of some length"]), "digest": ""}
    apply(universe, with_secrets)
    assert known(universe) == {}
    assert "secret of some length" not in json.dumps(
        [path.read_text() for path in (universe.state / "demo").glob("wanted*")]
    )


def test_how_it_is_wanted_makes_no_other_set(universe: Universe) -> None:
    assert arguments(universe)["digest"] == arguments(universe, mode="judge", skip_settled=True)["digest"]

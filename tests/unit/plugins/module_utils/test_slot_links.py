# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of the edge's weights, from any state, killed at any step."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import slot_links
from ansible_collections.techsaas.hardened.plugins.module_utils.slot_links import NUMBERS, SLOTS
from hypothesis import given, settings
from hypothesis import strategies as st

slots = st.sampled_from(SLOTS)
weights = st.integers(0, 100)
assignments = st.lists(st.sampled_from([*SLOTS, None]), min_size=100, max_size=100).map(
    lambda values: dict(zip(NUMBERS, values, strict=True))
)
SOCKETS = "/run/somewhere"


class Killed(BaseException):
    pass


@pytest.fixture
def directory() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as path:
        yield path


@given(assignments, slots, weights)
def test_plan_reaches_the_weight(now: dict[str, str | None], slot: str, weight: int) -> None:
    after = slot_links.weights({**now, **slot_links.plan(now, slot, weight)})
    assert after == {slot: weight, slot_links.other(slot): 100 - weight, "unassigned": 0}


@given(assignments, slots, weights)
def test_plan_is_minimal(now: dict[str, str | None], slot: str, weight: int) -> None:
    have = slot_links.weights(now)
    surplus = [max(0, have[slot] - weight), max(0, have[slot_links.other(slot)] - (100 - weight))]
    changes = slot_links.plan(now, slot, weight)
    assert len(changes) == have["unassigned"] + sum(surplus)
    assert all(now[number] != wanted for number, wanted in changes.items())


@given(slots, weights, weights)
def test_small_share_is_part_of_larger(slot: str, one: int, two: int) -> None:
    start: dict[str, str | None] = dict.fromkeys(NUMBERS, slot_links.other(slot))
    shares = []
    for weight in sorted((one, two)):
        after = {**start, **slot_links.plan(start, slot, weight)}
        shares.append({number for number, owner in after.items() if owner == slot})
    assert shares[0] <= shares[1]


def lay_out(directory: str, now: dict[str, str | None]) -> None:
    for number, slot in now.items():
        if slot is not None:
            os.symlink(slot_links.socket_path(SOCKETS, slot), slot_links.link_path(directory, number))


@settings(max_examples=50)
@given(assignments, slots, weights, st.integers(0, 250))
def test_killed_anywhere_and_finished(now: dict[str, str | None], slot: str, weight: int, step: int) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        lay_out(directory, now)
        left = step
        symlink, replace = os.symlink, os.replace

        def counted_symlink(source: str, target: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            symlink(source, target)

        def counted_replace(source: str, target: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            replace(source, target)

        patch.setattr(os, "symlink", counted_symlink)
        patch.setattr(os, "replace", counted_replace)
        with suppress(Killed):
            slot_links.apply(directory, SOCKETS, slot_links.plan(now, slot, weight))
        patch.undo()

        partial = slot_links.read(directory, SOCKETS)
        # Nothing that was served is out of service, whenever the end came.
        assert all(partial[number] is not None for number in NUMBERS if now[number] is not None)
        slot_links.apply(directory, SOCKETS, slot_links.plan(partial, slot, weight))
        after = slot_links.weights(slot_links.read(directory, SOCKETS))
        assert after == {slot: weight, slot_links.other(slot): 100 - weight, "unassigned": 0}
        assert sorted(os.listdir(directory)) == sorted(f"{number}.sock" for number in NUMBERS)


def test_strangers_in_a_links_place_are_replaced(directory: str) -> None:
    Path(directory, "00.sock").write_text("not a link", encoding="ascii")
    os.symlink("/elsewhere", slot_links.link_path(directory, "01"))
    now = slot_links.read(directory, SOCKETS)
    assert now["00"] is None and now["01"] is None
    slot_links.apply(directory, SOCKETS, slot_links.plan(now, "blue", 100))
    assert slot_links.weights(slot_links.read(directory, SOCKETS))["blue"] == 100


def test_no_moment_without_a_link(directory: str) -> None:
    """A reader that looks all the time always finds a slot."""
    lay_out(directory, dict.fromkeys(NUMBERS, "blue"))
    stop = threading.Event()
    missing: list[str] = []

    def look() -> None:
        while not stop.is_set():
            missing.extend(n for n, slot in slot_links.read(directory, SOCKETS).items() if slot is None)

    reader = threading.Thread(target=look)
    reader.start()
    for turn in range(20):
        now = slot_links.read(directory, SOCKETS)
        slot_links.apply(directory, SOCKETS, slot_links.plan(now, SLOTS[turn % 2], 100))
    stop.set()
    reader.join()
    assert missing == []


def test_dead_sockets_are_named(directory: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(slot_links.socket_path(directory, "blue"))
        listener.listen()
        assert slot_links.dead_sockets(directory, set(SLOTS)) == {"green": "No such file or directory"}
    assert slot_links.dead_sockets(directory, {"blue"}) == {"blue": "Connection refused"}

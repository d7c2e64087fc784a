# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the links: what it refuses, plans, and returns."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules import calling


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Directories as on an edge host, with both slots listening; short paths, as sockets need."""
    monkeypatch.chdir(tmp_path)
    places = {"directory": str(tmp_path / "slots"), "sockets": str(tmp_path / "run")}
    for place in places.values():
        os.mkdir(place)
    listeners = [socket.socket(socket.AF_UNIX) for _slot in range(2)]
    for listener, slot in zip(listeners, ("blue", "green"), strict=True):
        listener.bind(os.path.join(places["sockets"], f"{slot}.sock"))
        listener.listen()
    yield places
    for listener in listeners:
        listener.close()


def call(edge: dict[str, str], check: bool = False, **options: Any) -> dict[str, Any]:
    return calling.call("slot_weight", {**edge, **options}, check=check)


def test_first_weight_assigns_every_link(edge: dict[str, str]) -> None:
    result = call(edge, slot="blue", weight=100)
    assert result["changed"] is True
    assert result["before"] == {"blue": 0, "green": 0, "unassigned": 100}
    assert result["after"] == {"blue": 100, "green": 0, "unassigned": 0}


def test_second_run_changes_nothing(edge: dict[str, str]) -> None:
    call(edge, slot="blue", weight=90)
    for slot, weight in (("blue", 90), ("green", 10)):
        result = call(edge, slot=slot, weight=weight)
        assert (result["changed"], result["moved"]) == (False, [])


def test_moves_as_few_as_possible(edge: dict[str, str]) -> None:
    call(edge, slot="blue", weight=100)
    assert call(edge, slot="green", weight=3)["moved"] == ["00", "01", "02"]
    assert call(edge, slot="green", weight=2)["moved"] == ["02"]


def test_check_mode_plans_and_touches_nothing(edge: dict[str, str]) -> None:
    result = call(edge, check=True, slot="green", weight=5)
    assert result["changed"] is True
    assert result["after"] == {"blue": 95, "green": 5, "unassigned": 0}
    assert os.listdir(edge["directory"]) == []


def test_check_mode_on_a_clean_host(tmp_path: Path) -> None:
    nowhere = {"directory": str(tmp_path / "a"), "sockets": str(tmp_path / "b")}
    result = call(nowhere, check=True, slot="blue", weight=100)
    assert result["changed"] is True
    assert "takes none" in str(result["warnings"])


def test_read(edge: dict[str, str]) -> None:
    call(edge, slot="green", weight=25)
    result = call(edge, state="read")
    assert result["changed"] is False
    assert result["after"] == {"blue": 75, "green": 25, "unassigned": 0}


def test_dead_slot_gets_nothing(edge: dict[str, str]) -> None:
    call(edge, slot="blue", weight=100)
    os.unlink(os.path.join(edge["sockets"], "green.sock"))
    result = call(edge, slot="green", weight=1)
    assert result["failed"] is True
    assert "green.sock (No such file or directory)" in result["msg"]
    assert call(edge, state="read")["after"]["blue"] == 100
    # Away from a dead slot is always possible.
    assert "failed" not in call(edge, slot="green", weight=1, require_listening=False)
    assert call(edge, slot="blue", weight=100)["after"]["blue"] == 100


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"slot": "blue", "weight": 101}, "from 0 to 100"),
        ({"slot": "blue", "weight": -1}, "from 0 to 100"),
        ({"slot": "red", "weight": 1}, "blue, green"),
        ({"slot": "blue"}, "weight"),
        ({"directory": "/nowhere", "slot": "blue", "weight": 1}, "reverse_proxy"),
    ],
)
def test_bad_input_is_named(edge: dict[str, str], options: dict[str, Any], words: str) -> None:
    result = call(edge, **options)
    assert result["failed"] is True
    assert words in result["msg"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the lock, and the action that knows whose run this is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.action import release_lock
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("release_lock", tmp_path / "state" / "lock.json")


def test_taking_renewing_and_giving_back(host: Host) -> None:
    taken = host.call(run="one", holder="me@laptop", reason="release 1")
    assert (taken["changed"], taken["lock"]["token"]) == (True, 1)
    before = host.stored["expires"]
    renewed = host.call(run="one", holder="me@laptop", state="renewed", ttl=2000)
    assert renewed["changed"] is False
    assert host.stored["expires"] > before
    assert host.call(run="one", state="released")["changed"] is True
    assert host.stored["held"] is False
    assert [line["event"] for line in host.audit] == ["release_lock_taken", "release_lock_released"]


def test_a_second_run_is_refused_unless_the_first_is_known_to_be_gone(host: Host) -> None:
    host.call(run="one", holder="me@laptop", reason="release 1")
    refused = host.call(run="two", holder="you@desk")
    assert refused["failed"] is True
    assert refused["msg"].startswith("me@laptop holds the lock") and refused["msg"].endswith(
        "Nothing was changed"
    )
    assert refused["lock"]["run"] == "one"
    assert host.call(run="two", holder="you@desk", dead="one")["lock"]["token"] == 2


def test_waiting_for_a_run_but_not_for_a_hand(host: Host) -> None:
    host.call(run="one", holder="me@laptop", ttl=2)
    assert host.call(run="two", holder="you@desk", wait=5)["lock"]["token"] == 2
    host.call(run="two", state="released")
    host.call(run="me", holder="me@laptop", state="locked", reason="the database moves", ttl=0)
    refused = host.call(run="three", holder="you@desk", wait=600)
    assert "the database moves" in refused["msg"]


def test_check_mode_changes_nothing(host: Host) -> None:
    assert host.call(check=True, run="one", holder="me@laptop")["changed"] is True
    assert not host.path.exists()
    host.call(run="one", holder="me@laptop")
    held = host.call(check=True, run="two", holder="you@desk")
    assert (held["changed"], len(held["warnings"])) == (False, 1)


def test_what_is_no_lock_is_not_taken_for_none(host: Host) -> None:
    host.path.parent.mkdir()
    host.path.write_text("[]")
    assert "is not a lock" in host.call(run="one", holder="me@laptop")["msg"]


def test_a_process_that_is_gone_is_told_from_one_that_lives() -> None:
    own = release_lock.identity(os.getpid())
    assert own.split("/")[2] == str(os.getpid())
    assert not release_lock.is_gone(own)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = release_lock.identity(other.pid)
        assert not release_lock.is_gone(theirs)
        other.communicate(b"\n")
    assert release_lock.is_gone(theirs)
    # The same number again, but another process.
    assert release_lock.is_gone(own.rpartition("/")[0] + "/1")
    # Of another machine nothing is known.
    assert not release_lock.is_gone("elsewhere/" + theirs.partition("/")[2])
    assert not release_lock.is_gone("")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorder makes of strace's lines."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from house import ROOT

RECORDER = run_path(str(ROOT / "roles/container_runtime/files/record-syscalls"))
LOADS = (
    "seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=9, filter=0x1}) = 0",
    "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, {len=9}) = 0",
)


def names(*lines: str) -> list[str]:
    recording: Any = RECORDER["Recording"]()
    for line in lines:
        recording.read(line)
    found: list[str] = recording.names()
    return found


@pytest.mark.parametrize("load", LOADS)
def test_what_follows_the_filter_counts(load: str) -> None:
    assert names(
        '7 mount("a", "b") = 0', f"7  {load}", '7 execve("/app", [...], 0x1) = 0', "7 read(3, 0x1, 5) = 5"
    ) == ["execve", "read"]


@pytest.mark.parametrize(
    "asked",
    [
        "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, NULL) = -1 EFAULT (Bad address)",
        "seccomp(SECCOMP_GET_ACTION_AVAIL, 0, [SECCOMP_RET_LOG]) = 0",
        "prctl(PR_SET_NAME, 0x1) = 0",
    ],
)
def test_asking_what_the_kernel_knows_is_no_filter(asked: str) -> None:
    assert names(f"7 {asked}", "7 pivot_root(., .) = 0", f"7 {LOADS[0]}", "7 read(3) = 5") == ["read"]


def test_calls_that_were_interrupted() -> None:
    asked = (
        "7 seccomp(SECCOMP_GET_ACTION_AVAIL, 0, [SECCOMP_RET_LOG] <unfinished ...>",
        "7 <... seccomp resumed>) = 0",
    )
    loaded = (
        "7 prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, {len=9} <unfinished ...>",
        "8 futex(0x1) = 0",
        "7 <... prctl resumed>) = 0",
    )
    assert names(*asked, "7 mount(a) = 0", *loaded, "7 <... accept4 resumed>) = 5") == ["accept4"]


@pytest.mark.parametrize(
    "birth", ["clone(child_stack=NULL, flags=SIGCHLD) = 9", "vfork() = 2 /* 9 in strace's PID NS */"]
)
def test_children_count_from_their_first_word(birth: str) -> None:
    # A child may speak before its birth is told.
    lines = (
        f"7 {LOADS[0]}",
        "9 setsid() = 9",
        f"7 {birth}",
        "9 fork() = 11",
        "11 getpid() = 11",
        "12 mount(a) = 0",
    )
    assert set(names(*lines)) == {"setsid", "getpid", "fork", birth.partition("(")[0]}


def test_children_from_before_the_filter_do_not() -> None:
    assert names("7 clone(flags=SIGCHLD) = 9", f"7 {LOADS[0]}", "9 mount(a) = 0", "7 read(3) = 1") == ["read"]


def test_lines_that_are_none() -> None:
    assert names("", "strace: Process 7 attached", "7 +++ exited with 0 +++", "7 --- SIGCHLD {...} ---") == []


def test_the_file_is_kept_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    RECORDER["reduce"]([f"7 {LOADS[0]}\n", "7 read(3) = 1\n"], path)
    assert json.loads(path.read_text()) == ["read"]
    # Another process in the same container adds to it.
    RECORDER["reduce"]([f"8 {LOADS[0]}\n", "8 close(3) = 0\n"], path)
    assert json.loads(path.read_text()) == ["close", "read"]
    assert [kept.name for kept in tmp_path.iterdir()] == ["one.json"]

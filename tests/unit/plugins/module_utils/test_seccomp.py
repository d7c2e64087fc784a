# SPDX-License-Identifier: GPL-3.0-or-later
"""What the profile lets through, and that nothing is let through twice or forgotten."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.containment import seccomp_profile, seccomp_refused
from ansible_collections.techsaas.hardened.plugins.module_utils import seccomp

UNCONDITIONAL = {"action": "SCMP_ACT_ALLOW"}
# What an attacker uses first, and no service.
NEVER = set(
    "add_key bpf clone3 delete_module execveat finit_module init_module io_uring_setup kexec_load keyctl memfd_create mount"
    " name_to_handle_at open_by_handle_at perf_event_open pivot_root process_vm_writev ptrace setns unshare userfaultfd".split()
)


def rules(profile: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


def test_what_is_not_named_is_refused() -> None:
    profile = seccomp.profile()
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {
        name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
    }
    assert allowed == seccomp.allowed_names()
    assert not allowed & NEVER
    assert len(allowed) < 270
    # Programs that find it missing use clone, whose flags can be looked at.
    (rule,) = rules(profile, "clone3")
    assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_only_the_machine_s_own_calls_count() -> None:
    """Each architecture by itself: none brings another one along, by which arguments would be judged at the wrong place."""
    assert set(seccomp.profile()["architectures"]) == {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}
    assert "archMap" not in seccomp.profile()


def test_every_call_is_in_one_place() -> None:
    groups = [*seccomp.ALLOWED.values(), *seccomp.REFUSED.values()]
    groups.append(tuple({name for names, _conditions in seccomp.CONDITIONAL for name in names}))
    every = list(itertools.chain.from_iterable(groups))
    assert sorted(set(every)) == sorted(every)


HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
# Numbers that the kernel keeps and serves nothing under.
UNUSED = set(
    "afs_syscall epoll_ctl_old epoll_wait_old get_thread_area getpmsg putpmsg security set_thread_area tuxcall vserver".split()
)


@pytest.mark.skipif(not HEADER.exists(), reason="needs the kernel's headers (linux-libc-dev)")
def test_every_call_of_the_kernel_is_decided_on() -> None:
    names = set(re.findall(r"__NR_(\w+)", HEADER.read_text(encoding="ascii")))
    assert names - seccomp.known_names() - UNUSED == set()


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("clone", {0: 0x1200011}, True),
        ("clone", {0: 0x3D0F00}, True),
        *(("clone", {0: flag | 17}, False) for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000)),
        *(("clone", {0: flag | 17}, False) for flag in (0x10000000, 0x20000000, 0x40000000)),
        *(("socket", {0: family, 1: 1, 2: 0}, True) for family in (1, 2, 10)),
        ("socket", {0: 16, 1: 3, 2: 0}, True),
        *(("socket", {0: 16, 1: 3, 2: protocol}, False) for protocol in (9, 12, 15, 20)),
        *(("socket", {0: family, 1: 3, 2: 0}, False) for family in (15, 17, 21, 30, 38, 40, 44)),
        ("personality", {0: 0xFFFFFFFF}, True),
        ("personality", {0: 0x40000}, False),
        ("mknodat", {2: 0o010644}, True),
        *(("mknodat", {2: kind | 0o600}, False) for kind in (0o020000, 0o060000, 0o100000)),
    ],
)
def test_arguments(name: str, arguments: dict[int, int], allowed: bool) -> None:
    def holds(condition: dict[str, Any]) -> bool:
        given = arguments[condition["index"]]
        if condition["op"] == "SCMP_CMP_MASKED_EQ":
            return bool(given & condition["value"] == condition["valueTwo"])
        assert condition["op"] == "SCMP_CMP_EQ"
        return bool(given == condition["value"])

    assert any(all(map(holds, rule["args"])) for rule in rules(seccomp.profile(), name)) is allowed


def test_a_recording_narrows_and_never_widens() -> None:
    recorded = ["read", "write", "execve", "clone", "ptrace", "memfd_create"]
    profile = seccomp_profile(recorded)
    names = {
        name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]
    }
    assert names <= seccomp.allowed_names()
    assert {"read", "write", "execve", "clone"} <= names
    assert not {"ptrace", "memfd_create", "socket", "unlink"} & names
    # The condition stays with the call.
    assert rules(profile, "clone")[0]["args"]
    assert seccomp_refused(recorded) == ["memfd_create", "ptrace"]


def test_what_is_added_has_no_conditions() -> None:
    profile = seccomp_profile([], added=["memfd_create", "clone", "clone3"])
    for name in ("memfd_create", "clone", "clone3"):
        (rule,) = rules(profile, name)
        assert rule["action"] == "SCMP_ACT_ALLOW"
        assert "args" not in rule
    assert seccomp_profile([]) == seccomp.profile()


@pytest.mark.parametrize("arguments", [(["raed"],), ([], ["memfd"])])
def test_a_name_that_is_none_is_an_error(arguments: tuple[list[str], ...]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"no system calls: (raed|memfd)"):
        seccomp_profile(*arguments)

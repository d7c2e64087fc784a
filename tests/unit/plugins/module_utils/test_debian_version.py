# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version is newer: as dpkg itself says."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.debian_version import compare, key

VERSIONS = (
    "0",
    "1.0~rc1-1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1+deb12u10",
    "1.0-1~deb12u2",
    "1.0.1-1",
    "1.0a-1",
    "1.0+dfsg1-1",
    "1.10-1",
    "1.9-1",
    "1:0.5-1",
    "20.10.24+dfsg1-1+deb12u1+b6",
    "2026a-0+deb12u1",
    "3.0.22-1~deb12u2",
)


@pytest.mark.skipif(not shutil.which("dpkg"), reason="dpkg is not installed")
def test_every_pair_as_dpkg_says() -> None:
    wrong = []
    for first, second in itertools.product(VERSIONS, repeat=2):
        older = (
            subprocess.run(["dpkg", "--compare-versions", first, "lt", second], check=False).returncode == 0
        )
        if older != (compare(first, second) < 0):
            wrong.append((first, second))
    assert wrong == []


def test_the_newest_is_found() -> None:
    assert max(["1.0-1+deb12u9", "1.0-1+deb12u11", "1.0-1+deb12u2"], key=key) == "1.0-1+deb12u11"
    assert compare("1.0", "1.0-0") == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt says, read: as Debian 12 and 13 print it."""

from __future__ import annotations

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import apt_updates
from ansible_collections.techsaas.hardened.plugins.module_utils.apt_updates import Update

SOURCES = """\
Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
     release v=12,o=Debian,a=oldstable-security,n=bookworm-security,l=Debian-Security,c=main,b=amd64
     origin deb.debian.org
 500 http://deb.debian.org/debian bookworm/main amd64 Packages
     release v=12.15,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main,b=amd64
     origin deb.debian.org
 500 file:/srv/fixes ./ Packages
     release o=Us,a=stable,l=Our-Fixes,c=
     origin
Pinned packages:
"""
SECURITY = "http://deb.debian.org/debian-security bookworm-security/main amd64 Packages"
PACKAGES = """\
libssl3:
  Installed: 3.0.20-1~deb12u2
  Candidate: 3.0.22-1~deb12u2
  Version table:
     3.0.22-1~deb12u2 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 3.0.20-1~deb12u2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
     3.0.17-1~deb12u2 500
        500 http://deb.debian.org/debian bookworm-updates/main amd64 Packages
tzdata:
  Installed: 2026a-0+deb12u1
  Candidate: 2026b-0+deb12u1
  Version table:
     2026b-0+deb12u1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 2026a-0+deb12u1 100
        100 /var/lib/dpkg/status
nginx:
  Installed: 1.22.1-9
  Candidate: 1.26.0-1
  Version table:
     1.26.0-1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
     1.22.1-9+deb12u11 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 1.22.1-9 100
        100 /var/lib/dpkg/status
pinned:
  Installed: 1
  Candidate: 1
  Version table:
     2 -10
        -10 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 1 100
        100 /var/lib/dpkg/status
absent:
  Installed: (none)
  Candidate: 2
  Version table:
     2 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
"""


@pytest.fixture
def security() -> set[str]:
    return apt_updates.security_sources(SOURCES)


def test_sources_of_security_updates_are_known_by_their_label(security: set[str]) -> None:
    assert security == {SECURITY}
    assert apt_updates.security_sources(SOURCES, ["Our-Fixes"]) == {SECURITY, "file:/srv/fixes ./ Packages"}
    assert apt_updates.security_sources(SOURCES.replace("-security", "").replace("-Security", "")) == set()


def test_a_table_of_versions_is_read() -> None:
    libssl, *_others = apt_updates.packages(PACKAGES)
    assert (libssl.name, libssl.installed, libssl.candidate) == (
        "libssl3",
        "3.0.20-1~deb12u2",
        "3.0.22-1~deb12u2",
    )
    assert [version.text for version in libssl.versions] == [
        "3.0.22-1~deb12u2",
        "3.0.20-1~deb12u2",
        "3.0.17-1~deb12u2",
    ]
    assert libssl.versions[0].sources == (SECURITY,)


def test_only_security_updates_are_picked(security: set[str]) -> None:
    wanted, held = apt_updates.pick(apt_updates.packages(PACKAGES), security, False)
    # Of nginx not the newest version, but the newest that is a security update.
    assert [(one.name, one.after, one.security) for one in wanted] == [
        ("libssl3", "3.0.22-1~deb12u2", True),
        ("nginx", "1.22.1-9+deb12u11", True),
    ]
    assert held == []


def test_all_updates_are_picked_and_security_is_told(security: set[str]) -> None:
    wanted, _held = apt_updates.pick(apt_updates.packages(PACKAGES), security, True)
    assert [(one.name, one.after, one.security) for one in wanted] == [
        ("libssl3", "3.0.22-1~deb12u2", True),
        ("tzdata", "2026b-0+deb12u1", False),
        ("nginx", "1.26.0-1", True),
    ]


def test_what_is_on_hold_is_told_apart(security: set[str]) -> None:
    wanted, held = apt_updates.pick(apt_updates.packages(PACKAGES), security, False, {"libssl3"})
    assert ([one.name for one in wanted], [one.name for one in held]) == (["nginx"], ["libssl3"])


def test_a_simulation_tells_what_comes_with_it_and_what_would_go() -> None:
    output = """\
Reading package lists...
Remv old-thing [1.0]
Inst linux-image-amd64 [6.1.140-1] (6.1.147-1 Debian-Security:12/oldstable-security [amd64]) []
Inst linux-image-6.1.0-37-amd64 (6.1.147-1 Debian-Security:12/oldstable-security [amd64])
Conf linux-image-amd64 (6.1.147-1 Debian-Security:12/oldstable-security [amd64])
"""
    simulated = apt_updates.simulation(output)
    assert simulated.removes == ("old-thing",)
    wanted = [Update("linux-image-amd64", "6.1.140-1", "6.1.147-1", True)]
    plan = apt_updates.planned(wanted, simulated)
    assert plan == [*wanted, Update("linux-image-6.1.0-37-amd64", "", "6.1.147-1", False)]
    assert apt_updates.reboot_expected(plan) == ["linux-image-6.1.0-37-amd64", "linux-image-amd64"]
    assert apt_updates.reboot_expected([Update("nginx", "1", "2", True)]) == []


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        (["vmlinuz-6.1.0-9-amd64", "vmlinuz-6.1.0-37-amd64", "initrd.img-6.1.0-99-amd64"], "6.1.0-37-amd64"),
        (["vmlinuz-6.12.41+deb13-amd64", "vmlinuz-6.9.1-amd64"], "6.12.41+deb13-amd64"),
        (["config-6.1.0-9-amd64"], ""),
    ],
)
def test_the_newest_kernel_is_found_by_its_numbers(names: list[str], newest: str) -> None:
    assert apt_updates.newest_kernel(names) == newest


def test_an_archive_is_named_as_apt_does() -> None:
    assert (
        apt_updates.archive_name("libnginx-mod-http-lua", "1:0.10.23-1", "amd64")
        == "libnginx-mod-http-lua_1%3a0.10.23-1_amd64.deb"
    )


def test_the_last_words_are_those_of_the_failure() -> None:
    output = "Reading package lists...\nGet:1 http://x\nSetting up broken (2)\ndpkg: error processing package broken\n"
    assert apt_updates.last_words(output).splitlines() == [
        "Setting up broken (2)",
        "dpkg: error processing package broken",
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
"""A host described by a directory, and what is read from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.host_facts import collect, installed_packages
from ansible_collections.techsaas.hardened.plugins.module_utils.host_requirements import (
    Requirements,
    host_problems,
    spread_problem,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.package_plan import hints, missing, names

_STATUS = """Package: dpkg
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 1.21.22
Description: manager
 Version: not this one

Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.22.1-9+deb12u2

Package: removed
Status: deinstall ok config-files
Version: 1.0

Package: half
Status: install ok half-configured
Version: 1.0

Package: waiting
Status: install ok triggers-pending
Version: 2.0

Package: systemd
Status: hold ok installed
Version: 252.39-1~deb12u1
"""
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_KEY = "-----BEGIN PRIVATE KEY-----\nzebra\n-----END PRIVATE KEY-----\n"  # pragma: allowlist secret


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "var/lib/dpkg/status": _STATUS,
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
        "proc/meminfo": "MemTotal:        8000000 kB\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
        "run/systemd/system/x": "",
        "run/systemd/container": "podman\n",
        "etc/hardened/pki/host.crt": _KEY + _CERTIFICATE,
        "var/lib/hardened/slots.json": '{"active": "blue"}',
        "var/lib/hardened/broken.json": '{"active": ',
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_facts(root: Path) -> None:
    facts = collect([], ["/etc/hardened/pki/host.crt", "/etc/none.crt"], True, root)
    assert facts["packages"] == {
        "dpkg": "1.21.22",
        "nginx": "1.22.1-9+deb12u2",
        "waiting": "2.0",
        "systemd": "252.39-1~deb12u1",
    }
    assert (facts["distribution"], facts["version"], facts["release"]) == ("debian", "12", "bookworm")
    assert facts["architecture"] == "amd64"
    assert facts["memory_mb"] == 7812
    assert facts["cgroup_version"] == 2
    assert facts["service_manager"] == "systemd" and facts["systemd_version"] == 252
    assert facts["virtualization"] == "podman"
    assert facts["records"] == {"slots": {"active": "blue"}}
    assert list(facts["records_unreadable"]) == ["broken"]
    assert facts["apt_lists"] is False


def test_config_sets_are_those_that_are_in_place(root: Path) -> None:
    files = {
        "nginx/manifest.json": '{"digest": "8c6c"}',
        "older/manifest.json": "{}",
        "broken/manifest.json": "{",
        "begun/journal.json": "{}",
    }
    for name, content in files.items():
        path = root / "var/lib/hardened/config_set" / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    assert collect([], [], True, root)["config_sets"] == {"nginx": "8c6c", "older": "", "broken": ""}


def test_a_private_key_stays_on_the_host(root: Path) -> None:
    facts = collect([], ["/etc/hardened/pki/host.crt", "/etc/none.crt"], True, root)
    assert facts["certificates"] == {"/etc/hardened/pki/host.crt": _CERTIFICATE}


def test_only_packages_asked_for(root: Path) -> None:
    facts = collect(["nginx", "nosuch"], [], False, root)
    assert facts["packages"] == {"nginx": "1.22.1-9+deb12u2"}
    assert facts["packages_complete"] is False and facts["records"] == {}


def test_an_empty_directory_is_no_error(tmp_path: Path) -> None:
    facts = collect([], ["/x"], True, tmp_path)
    assert facts["packages"] == {} and facts["distribution"] == ""


def test_this_machine_is_read_fast() -> None:
    fastest = min(_timed() for _attempt in range(5))
    assert fastest < 0.06


def _timed() -> float:
    start = time.perf_counter()
    collect([], [], True)
    return time.perf_counter() - start


def test_a_thousand_packages_parse_fast(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    stanza = "Package: p{}\nStatus: install ok installed\nVersion: 1\nDescription: x\n" + " long text\n" * 40
    (tmp_path / "var/lib/dpkg/status").write_text("\n".join(stanza.format(n) for n in range(1000)))
    assert len(installed_packages(tmp_path)) == 1000


def test_missing_packages() -> None:
    installed = {"nginx": "1.22.1-9", "bash": "5.2"}
    assert missing(["nginx", "bash:amd64", "nginx=1.22*", "nginx=1.26*", "curl", "curl"], installed) == [
        "nginx=1.26*",
        "curl",
    ]
    assert names(["nginx=1.22*", "bash:amd64"]) == ["nginx", "bash"]


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Temporary failure resolving 'deb.debian.org'", "cannot resolve"),
        ("Could not connect to 192.0.2.1:80", "cannot reach"),
        ("No package matching 'ngnix' is available", "spelling"),
        ("Could not get lock /var/lib/dpkg/lock-frontend", "another process"),
        ("something new", "apt-get update"),
    ],
)
def test_hints(said: str, meaning: str) -> None:
    assert meaning in hints(said)[0]
    assert "never downloaded" in hints(said, apt_lists=False)[-1]


_GOOD: dict[str, Any] = {
    "distribution": "debian",
    "version": "13",
    "python": "3.13.5",
    "service_manager": "systemd",
    "memory_mb": 2048,
    "disk_free_mb": {"/": 9000},
    "clock_skew": 0.1,
    "cgroup_version": 2,
}


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"version": "11"}, ["RELEASE"]),
        ({"python": "3.7.3"}, ["PYTHON"]),
        ({"service_manager": "unknown"}, ["SYSTEMD"]),
        ({"memory_mb": 100}, ["MEMORY"]),
        ({"disk_free_mb": {"/": 10, "/var": 10}}, ["DISK", "DISK"]),
        ({"clock_skew": -9.0}, ["CLOCK"]),
    ],
)
def test_requirements(change: dict[str, Any], codes: list[str]) -> None:
    assert [problem.code for problem in host_problems({**_GOOD, **change}, Requirements())] == codes


def test_clock_spread() -> None:
    assert spread_problem({"a": -4.0, "b": 0.0, "c": 4.0}, Requirements()) is not None
    assert spread_problem({"a": -1.0, "b": 1.0}, Requirements()) is None
    assert spread_problem({}, Requirements()) is None

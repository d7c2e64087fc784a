# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing, and what apt's complaints mean: free of Ansible, so that it can be tested alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

# Apt's words, what they mean, in the order in which they should be read.
_CAUSES = (
    (
        r"Temporary failure resolving|Could not resolve|Name or service not known",
        "the host cannot resolve the names of its package sources: check /etc/resolv.conf and the network",
    ),
    (
        r"Could not connect|Connection refused|Connection timed out|Network is unreachable|No route to host",
        "the host cannot reach its package sources: check the network, a firewall, and the proxy in /etc/apt/apt.conf.d",
    ),
    (
        r"certificate verif|Certificate verification failed|handshake",
        "a package source's certificate is not trusted: check ca-certificates and the host's clock",
    ),
    (
        r"NO_PUBKEY|is not signed|EXPKEYSIG|signatures couldn.t be verified",
        "a package source is not signed by a key that the host trusts: check Signed-By in /etc/apt/sources.list.d",
    ),
    (
        r"not valid yet|invalid for another|expired \(invalid since",
        "the host's clock and a package source's date disagree: check the clock",
    ),
    (
        r"No package matching|Unable to locate package|has no installation candidate|no available installation",
        "the host's package sources do not offer it: check the spelling, the release, and the components (main,"
        " contrib) in /etc/apt/sources.list.d",
    ),
    (
        r"[Cc]ould not get lock|is held by process|Unable to acquire the dpkg frontend lock|Failed to lock apt",
        "another process keeps apt locked (unattended-upgrades, perhaps): wait, or raise lock_timeout",
    ),
    (
        r"dpkg was interrupted|dpkg --configure -a",
        "an earlier installation was interrupted: run 'dpkg --configure -a' on the host",
    ),
    (
        r"unmet dependencies|held broken packages|pkgProblemResolver",
        "packages held back or from another release stand in the way: look at 'apt-mark showhold' and the sources",
    ),
    (
        r"No space left on device|enough free space",
        "a file system of the host is full: look at /var/cache/apt and /boot",
    ),
    (
        r"Permission denied|are you root",
        "installing needs root: the play or the inventory must set become",
    ),
)


def missing(wanted: list[str], installed: Mapping[str, Any]) -> list[str]:
    """Those of `wanted` (name, name:arch, or name=version) that `installed` does not satisfy."""
    return [spec for spec in dict.fromkeys(wanted) if not _satisfied(spec, installed)]


def names(wanted: list[str]) -> list[str]:
    """Bare package names."""
    return list(dict.fromkeys(_bare(spec) for spec in wanted))


def hints(message: str, apt_lists: bool | None = None) -> list[str]:
    """What apt's message probably means; `apt_lists` is whether the host has ever downloaded its lists."""
    found = [meaning for pattern, meaning in _CAUSES if re.search(pattern, message)]
    if apt_lists is False:
        found.append("the host has never downloaded its lists of packages: 'apt-get update' there shows why")
    return found or ["try 'apt-get update' and 'apt-get install' on the host to see apt's whole answer"]


def _bare(spec: str) -> str:
    return spec.partition("=")[0].strip().partition(":")[0]


def _satisfied(spec: str, installed: Mapping[str, Any]) -> bool:
    version = spec.partition("=")[2].strip()
    have = installed.get(_bare(spec))
    return have is not None and (not version or fnmatchcase(str(have), version))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image is made of, read from the databases in its file system; nothing of the image is run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STATUS = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_RELEASE = ("etc/os-release", "usr/lib/os-release")
_PYTHON = re.compile(r"(site|dist)-packages$")
_RELEASE_IN_VERSION = re.compile(r"[+~]deb(\d+)u\d+")
_LIMIT = 64 * 1024 * 1024


def read(root: Path) -> dict[str, Any]:
    """Distribution, release and packages, as far as the image says so, and Python distributions."""
    release = _fields(_first(root, _RELEASE), "=")
    dpkg, apk = dict(_dpkg(root)), dict(_apk(root))
    distribution = release.get("ID", "").strip('"')
    version = release.get("VERSION_ID", "").strip('"')
    if dpkg and not distribution:
        distribution, version = "debian", _release_of(list(dpkg.values()))
    return {
        "distribution": distribution,
        "version": version,
        "database": "dpkg" if dpkg else "apk" if apk else "",
        "packages": dpkg or apk,
        "python": dict(_python(root)),
    }


def inside(root: Path, name: str) -> Path | None:
    """A file of the image; none for what a link leads out of it."""
    base = os.path.realpath(root)
    path = os.path.realpath(os.path.join(base, name))
    return Path(path) if os.path.commonpath([base, path]) == base and os.path.exists(path) else None


def _text(root: Path, name: str) -> str:
    path = inside(root, name)
    if path is None or not path.is_file() or path.stat().st_size > _LIMIT:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _first(root: Path, names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(root, name))), "")


def _fields(block: str, separator: str = ": ") -> dict[str, str]:
    pairs = (
        line.partition(separator) for line in block.splitlines() if separator in line and line[:1] != " "
    )
    return {name: value.strip() for name, _separator, value in pairs}


def _dpkg(root: Path) -> Iterator[tuple[str, str]]:
    blocks = _text(root, _STATUS).split("\n\n")
    folder = inside(root, _STATUS_D)
    if folder is not None and folder.is_dir():
        # Images without a package manager have a file for each package.
        names = (name for name in sorted(os.listdir(folder)) if not name.endswith(".md5sums"))
        blocks += [_text(root, f"{_STATUS_D}/{name}") for name in names]
    for block in blocks:
        said = _fields(block)
        if "Package" in said and said.get("Status", "install ok installed").endswith(" installed"):
            yield said["Package"], said.get("Version", "")


def _apk(root: Path) -> Iterator[tuple[str, str]]:
    for block in _first(root, _APK).split("\n\n"):
        said = _fields(block, ":")
        if "P" in said:
            yield said["P"], said.get("V", "")


def _python(root: Path) -> Iterator[tuple[str, str]]:
    for parent, folders, _files in os.walk(root):
        # What other file systems hold is not the image's.
        folders[:] = [name for name in folders if not os.path.ismount(os.path.join(parent, name))]
        if not _PYTHON.search(parent):
            continue
        for name in folders:
            stem, suffix = os.path.splitext(name)
            if suffix == ".dist-info":
                project, _dash, version = stem.rpartition("-")
                yield project.replace("_", "-").lower(), version
        folders[:] = []


def _release_of(versions: list[str]) -> str:
    """Debian's release, where the versions of updates name one, and only one."""
    named = {match[1] for version in versions if (match := _RELEASE_IN_VERSION.search(version))}
    return named.pop() if len(named) == 1 else ""

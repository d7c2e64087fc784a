# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses secret variables that stand in clear: names, files and lines, never a value.

tools/clear_secrets.py FILE...            the files as they are
tools/clear_secrets.py --history [DIR]    everything that git has ever held at the path of an inventory's file
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ansible.parsing.dataloader import DataLoader
from ansible_collections.techsaas.hardened.plugins.plugin_utils.clear_secrets import SecretFinder
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import (
    ROOT,
    read_specification,
)

_DATA = re.compile(r".*\.(ya?ml|json|ini)([.~].*)?", re.IGNORECASE)
# These describe variables, they do not set them.
_DESCRIPTION = re.compile(r"(.*/)?meta/(argument_specs|validation|environment)\.yml")
_INVENTORY = re.compile(r"(.*/)?(inventor(y|ies)|group_vars|host_vars)/.*")
_FIX = "encrypt it (ansible-vault encrypt FILE), or refer to it"
_LEAKED = "whoever has the repository has it: put a new one in its place; taking it out of the history does not help"
_RAW = re.compile(r":\d+ (?P<mode>\d+) \S+ (?P<blob>[0-9a-f]+) [A-Z]\d*\t(?:[^\t]*\t)?(?P<path>[^\t]+)")
_ZEROS = re.compile("0+")


class Version(NamedTuple):
    """A file as it once was."""

    commit: str
    path: str


def concerns(path: str) -> bool:
    """Whether a file may set variables: data anywhere, and whatever lies in an inventory."""
    return bool((_DATA.fullmatch(path) or _INVENTORY.fullmatch(path)) and not _DESCRIPTION.fullmatch(path))


def in_files(finder: SecretFinder, paths: Iterable[str]) -> list[str]:
    return [
        f"{path}:{line}: {variable} CLEAR_SECRET: {_FIX}"
        for path in paths
        if concerns(path)
        for variable, line in finder.in_file(Path(path))
    ]


def in_history(finder: SecretFinder, folder: Path, environment: str = "") -> list[str]:
    """`environment` leaves out what lies in the directories of other environments beside it."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip()) if has_history(folder) else folder
    blobs = _versions(_git(top, *_LOG)) if has_history(folder) else {}
    found = []
    for blob, text in _texts(top, blobs):
        version = blobs[blob]
        parts = version.path.split("/")
        if environment and parts[0] == "inventories" and parts[1] != environment:
            continue
        for variable, line in finder.in_text(text, Path(version.path).name):
            found.append(f"{version.commit}:{version.path}:{line}: {variable} CLEAR_SECRET: {_LEAKED}")
    return found


def is_shallow(folder: Path) -> bool:
    return _git(folder, "rev-parse", "--is-shallow-repository").strip() == "true"


def has_history(folder: Path) -> bool:
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def specified_finder() -> SecretFinder:
    return SecretFinder(read_specification(ROOT, DataLoader()).secrets())


_LOG = ["-c", "core.quotePath=false", "log", "--all", "--reflog", "HEAD", "-m", "--root", "--raw", "--no-abbrev",
        "--no-renames", "--format=commit %H"]  # fmt: skip


def _versions(log: str) -> dict[str, Version]:
    """The blobs that concern us, each with the oldest commit that has it."""
    blobs: dict[str, Version] = {}
    commit = ""
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line[7:19]
            continue
        match = _RAW.fullmatch(line)
        # Modes other than a file's are links and submodules.
        if match and match["mode"].startswith("100") and concerns(match["path"]):
            blobs[match["blob"]] = Version(commit, match["path"])
    return {blob: version for blob, version in blobs.items() if not _ZEROS.fullmatch(blob)}


def _texts(top: Path, blobs: Iterable[str]) -> Iterator[tuple[str, str]]:
    command = ["git", "-C", str(top), "cat-file", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
        assert git.stdin is not None and git.stdout is not None
        for blob in blobs:
            git.stdin.write(f"{blob}\n".encode())
            git.stdin.flush()
            header = git.stdout.readline().split()
            if len(header) != 3:
                continue
            content = git.stdout.read(int(header[2]) + 1)[:-1]
            try:
                yield blob, content.decode()
            except UnicodeDecodeError:
                continue


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, errors="replace").stdout


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--history", action="store_true")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args(arguments)
    finder = specified_finder()
    if options.history:
        found = [row for path in options.paths or ["."] for row in in_history(finder, Path(path))]
    else:
        found = in_files(finder, options.paths)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

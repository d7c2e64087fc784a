# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the wanted set with what lies on the host and lists the changes; reads only."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from .credentials import sealed
from .errors import Problems
from .manifest import Manifest
from .model import Change, DirectorySpec, FileSpec, Renewal, SetSpec
from .nodes import ABSENT, Absent, Directory, File, Link, Node, Other, kind_of, read_node
from .swap import TEMPORARY
from .watch import Fingerprints, NotWatchable, fingerprint, renewals

UNKNOWN_ID = -1
PARENT_MODE = 0o755


@dataclass
class Comparison:
    changes: list[Change] = field(default_factory=list)
    made: tuple[str, ...] = ()  # directories that exist, or will, because of this set
    unknown_accounts: list[str] = field(default_factory=list)
    watched: Fingerprints = field(default_factory=dict)
    renewals: list[Renewal] = field(default_factory=list)


def compare(spec: SetSpec, manifest: Manifest, others: dict[str, str], planning: bool = False) -> Comparison:
    return _Comparer(spec, manifest, others, planning).run()


class _Comparer:
    def __init__(self, spec: SetSpec, manifest: Manifest, others: dict[str, str], planning: bool) -> None:
        self.spec = spec
        self.planning = planning
        self.manifest = manifest
        self.others = others
        self.result = Comparison()
        self.problems: list[str] = []
        self.wanted: set[str] = {f.path for f in spec.files} | {link.path for link in spec.links}
        self.needed_directories: set[str] = set()
        self.created: set[str] = set()
        self._ids: dict[tuple[str, str], int] = {}

    def run(self) -> Comparison:
        self._directories()
        self._files_and_links()
        self._no_longer_owned()
        self._strangers()
        self._watched()
        if self.problems:
            raise Problems(self.problems)
        kept = {path for path in self.manifest.made if path in self.needed_directories}
        self.result.made = tuple(sorted(self.created | kept))
        return self.result

    def _directories(self) -> None:
        for directory in self.spec.directories:
            path = os.path.realpath(directory.path) if os.path.isdir(directory.path) else directory.path
            self._need_parents(path)
            self.needed_directories.add(path)
            wanted = Directory(*self._account(directory.owner, directory.group), directory.mode)
            live = self._read(path)
            if isinstance(live, Absent):
                self.created.add(path)
            elif not isinstance(live, Directory):
                self.problems.append(f"{path}: is {kind_of(live)}, the set wants a directory; move it away")
                continue
            self._add(path, live, wanted, trigger="none")

    def _files_and_links(self) -> None:
        for spec in self.spec.files:
            wanted: Node = ABSENT
            if spec.content is not None:
                wanted = File(
                    self._content(spec, spec.content), *self._account(spec.owner, spec.group), spec.mode
                )
            self._place(spec.path, wanted, spec.on_change, spec.secret)
        for link in self.spec.links:
            self._place(link.path, Link(link.target), None, False)

    def _content(self, spec: FileSpec, plain: bytes) -> bytes:
        if spec.credential is None:
            return plain
        live = self._read(spec.path)
        blob = live.content if isinstance(live, File) else None
        return sealed(spec.path, plain, spec.credential, blob, self.planning)

    def _place(self, path: str, wanted: Node, trigger: str | None, secret: bool) -> None:
        if path in self.others:
            self.problems.append(
                f"{path}: is owned by the set '{self.others[path]}' on this host; run that set without it first"
            )
            return
        if not isinstance(wanted, Absent):
            self._need_parents(path)
        live = self._read(path)
        if isinstance(live, (Directory, Other)):
            self.problems.append(f"{path}: is {kind_of(live)}, the set wants {kind_of(wanted)}; move it away")
            return
        self._add(path, live, wanted, trigger, secret)

    def _no_longer_owned(self) -> None:
        for path in sorted(self.manifest.paths - self.wanted - set(self.others)):
            live = self._read(path)
            if isinstance(live, (File, Link)):
                self._add(path, live, ABSENT, None, self.manifest.files.get(path, False))
        for path in self.manifest.made:
            live = self._read(path)
            if path not in self.needed_directories and isinstance(live, Directory) and self._only_ours(path):
                self._add(path, live, ABSENT, trigger="none")

    def _only_ours(self, path: str) -> bool:
        """Whether the directory will be empty once this set's own leftovers are gone."""
        going = {change.path for change in self.result.changes if isinstance(change.after, Absent)}
        going.update(made for made in self.manifest.made if made not in self.needed_directories)
        return all(os.path.join(path, name) in going for name in os.listdir(path))

    def _strangers(self) -> None:
        found = {
            path for d in self.spec.directories if d.purge and os.path.isdir(d.path) for path in _walk(d)
        }
        found -= self.wanted | self.manifest.paths | set(self.others)
        if not found:
            return
        # The same file may be reached by another name, through a directory that is a link.
        watched = [watch.path for watch in self.spec.watch]
        spared = {_canonical(path) for path in (*self.wanted, *self.manifest.paths, *self.others, *watched)}
        for path in sorted(found):
            if _canonical(path) not in spared:
                live = read_node(path)
                secret = isinstance(live, File) and not live.mode & 0o004
                self._add(path, live, ABSENT, None, secret)

    def _watched(self) -> None:
        going = {change.path for change in self.result.changes if isinstance(change.after, Absent)}
        for watch in self.spec.watch:
            try:
                # What the set itself removes now is not there when the services look.
                self.result.watched[watch.path] = None if watch.path in going else fingerprint(watch.path)
            except NotWatchable as error:
                self.problems.append(str(error))
        if not self.problems:
            self.result.renewals = renewals(self.spec.watch, self.manifest.watched, self.result.watched)

    def _need_parents(self, path: str) -> None:
        """Directories that have to be made for path, unless the set describes them itself."""
        parent = os.path.dirname(path)
        if parent in self.needed_directories or any(parent == d.path for d in self.spec.directories):
            return
        self.needed_directories.add(parent)
        if os.path.isdir(parent):
            # A directory made in an earlier run stays ours together with its made parents.
            if parent in self.manifest.made:
                self._need_parents(parent)
            return
        live = self._read(parent)
        if not isinstance(live, Absent):
            self.problems.append(f"{parent}: is {kind_of(live)}, but {path} needs a directory there")
            return
        self._need_parents(parent)
        self.created.add(parent)
        self._add(parent, live, Directory(os.geteuid(), os.getegid(), PARENT_MODE), trigger="none")

    def _add(
        self, path: str, live: Node, wanted: Node, trigger: str | None = None, secret: bool = False
    ) -> None:
        if live != wanted:
            self.result.changes.append(Change(path, live, wanted, trigger, secret))

    def _read(self, path: str) -> Node:
        try:
            return read_node(path)
        except NotADirectoryError:
            self.problems.append(f"{path}: a part of this path is not a directory")
            return ABSENT

    def _account(self, owner: str, group: str) -> tuple[int, int]:
        return self._id("user", owner), self._id("group", group)

    def _id(self, kind: str, name: str) -> int:
        key = (kind, name)
        if key not in self._ids:
            self._ids[key] = _look_up(kind, name)
            if self._ids[key] == UNKNOWN_ID:
                self.result.unknown_accounts.append(f"{kind} '{name}' does not exist on this host")
        return self._ids[key]


def _look_up(kind: str, name: str) -> int:
    import grp
    import pwd

    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        return UNKNOWN_ID


def _canonical(path: str) -> str:
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _walk(directory: DirectorySpec) -> Iterator[str]:
    """Files and links below the directory that no exclude pattern spares."""
    for parent, directories, files in os.walk(directory.path):
        for name in list(directories):
            path = os.path.join(parent, name)
            if _spared(path, directory):
                directories.remove(name)
            elif os.path.islink(path):
                yield path
        for name in files:
            path = os.path.join(parent, name)
            plain = os.path.islink(path) or os.path.isfile(path)
            if plain and not name.startswith(TEMPORARY) and not _spared(path, directory):
                yield path


def _spared(path: str, directory: DirectorySpec) -> bool:
    relative = os.path.relpath(path, directory.path)
    return any(
        fnmatch.fnmatchcase(relative, pattern) or fnmatch.fnmatchcase(os.path.basename(path), pattern)
        for pattern in directory.exclude
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for log lines on a collector, reading only the ends of files that have just grown."""

from __future__ import annotations

import fnmatch
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_INTERVAL = 0.05
# A file that was not written to for so long cannot hold a line of a request just made.
_RECENT = 600.0
# At the first look; afterwards only what was added.
_TAIL = 8 * 1024 * 1024
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2")
_KEY = "request_id"
_SHOWN = 6


@dataclass
class _File:
    """Known by its inode, so that a rotation neither loses a line nor reads one again."""

    path: Path
    offset: int
    rest: bytes = b""


@dataclass
class Search:
    directory: Path
    request_ids: Sequence[str]
    streams: Sequence[str] = ()
    hosts: Sequence[str] = ()
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    elsewhere: dict[str, list[str]] = field(default_factory=dict)
    unparsed: dict[str, str] = field(default_factory=dict)
    _files: dict[tuple[int, int], _File] = field(default_factory=dict)

    def wait(self, deadline: float) -> float:
        """Seconds until all were found, or until the deadline passed."""
        started = time.monotonic()
        while True:
            self.look()
            waited = time.monotonic() - started
            if not self.missing or waited >= deadline:
                return waited
            time.sleep(_INTERVAL)

    @property
    def missing(self) -> list[str]:
        return [value for value in self.request_ids if value not in self.found]

    def look(self) -> None:
        for path, status in self._grown():
            key = (status.st_dev, status.st_ino)
            known = self._files.get(key)
            if known is None or status.st_size < known.offset:
                known = self._files[key] = _File(path, max(0, status.st_size - _TAIL))
            known.path = path
            if status.st_size > known.offset:
                self._read(known, status.st_mtime)
            if not self.missing:
                return

    def _grown(self) -> Iterator[tuple[Path, os.stat_result]]:
        oldest = time.time() - _RECENT
        for path in sorted(self.directory.glob("*/*.jsonl*")):
            # What was rotated a moment ago still counts, under whatever name.
            if path.suffix in _COMPRESSED:
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if status.st_mtime >= oldest:
                yield path, status

    def _read(self, file: _File, written_at: float) -> None:
        try:
            with file.path.open("rb") as stream:
                stream.seek(file.offset)
                added = stream.read()
        except FileNotFoundError:
            return
        file.offset += len(added)
        data = file.rest + added
        end = data.rfind(b"\n") + 1
        # What is not yet a whole line is looked at with what follows.
        file.rest = data[end:]
        for value in self.missing:
            for line in _lines_with(data, end, value.encode()):
                self._judge(file.path, line, value, written_at)

    def _judge(self, path: Path, line: bytes, value: str, written_at: float) -> None:
        host, stream = path.parent.name, _stream(path)
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        counts = _among(host, self.hosts) and _among(stream, self.streams)
        if not carries(entry, value):
            # Ansible logs how it was called, and this search is called with the value.
            if counts and not stream.startswith("ansible-"):
                self.unparsed[value] = str(path)
        elif counts:
            place = {
                "request_id": value,
                "host": host,
                "stream": stream,
                "path": str(path),
                "arrived": written_at,
            }
            self.found.setdefault(value, place)
        else:
            self.elsewhere.setdefault(value, []).append(f"{host}/{stream}")


def _among(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def carries(entry: Any, value: str) -> bool:
    """Whether a field request_id has this value, at whatever depth the collector keeps what was sent."""
    if isinstance(entry, dict):
        return entry.get(_KEY) == value or any(carries(inner, value) for inner in entry.values())
    return isinstance(entry, list) and any(carries(inner, value) for inner in entry)


def written(directory: Path, now: float) -> str:
    """Which files were last written to, and when: what a person would look at first."""
    ages: list[tuple[float, str]] = []
    for path in directory.glob("*/*.jsonl"):
        try:
            ages.append((now - path.stat().st_mtime, f"{path.parent.name}/{_stream(path)}"))
        except FileNotFoundError:
            continue
    if not ages:
        return "no log at all is stored there"
    shown = ", ".join(f"{name} {max(0, round(age))} s ago" for age, name in sorted(ages)[:_SHOWN])
    more = f" and {len(ages) - _SHOWN} more" if len(ages) > _SHOWN else ""
    return f"last written there: {shown}{more}"


def _stream(path: Path) -> str:
    return path.name.partition(".jsonl")[0]


def _lines_with(data: bytes, end: int, wanted: bytes) -> Iterator[bytes]:
    position = data.find(wanted, 0, end)
    while position >= 0:
        begin, stop = data.rfind(b"\n", 0, position) + 1, data.find(b"\n", position)
        yield data[begin:stop]
        position = data.find(wanted, stop, end)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a run: everything that is needed to finish it or to undo it, on disk before the first change.

`journal.json` is replaced atomically; the content of files that were there before lies in `saved-<token>/`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass, replace
from typing import Any

from .manifest import Manifest, read_json, write_json
from .model import Change, Observer, ProbeSpec, ServiceStep
from .nodes import ABSENT, Directory, File, Link, Node, read_bytes
from .swap import sync_directory, write_new

# A killed run is undone while PREPARED or UNDOING, and finished from SWAPPED on.
PREPARED, SWAPPED, UNDOING, COMMITTED = "prepared", "swapped", "undoing", "committed"

JOURNAL = "journal.json"
SAVED = "saved-"
PREVIOUS = "previous"


@dataclass(frozen=True)
class Journal:
    token: str
    phase: str
    changes: tuple[Change, ...]  # `after` of files carries no content: it is not needed for either way
    steps: tuple[ServiceStep, ...]
    probes: tuple[ProbeSpec, ...]
    daemon_reload: bool
    manifest: Manifest
    keep: int = 1
    owed: bool = False  # an earlier way back failed, so that services need one even before the swap


class Book:
    """Keeps the journal and the previous sets in a set's own state directory."""

    def __init__(self, directory: str, observe: Observer) -> None:
        self.directory = directory
        self.observe = observe

    def open(self, journal: Journal) -> None:
        """Save the old contents, then publish the journal; from here on a kill is recoverable."""
        self.observe("backup", self.directory)
        saved = self._saved(journal.token)
        os.mkdir(saved, 0o700)
        for index, change in enumerate(journal.changes):
            if isinstance(change.before, File):
                write_new(os.path.join(saved, str(index)), change.before.content, 0o600)
        sync_directory(saved)
        sync_directory(self.directory)
        self._write(journal)
        self.remove_leftovers(journal)

    def advance(self, journal: Journal, phase: str) -> Journal:
        advanced = replace(journal, phase=phase)
        self._write(advanced)
        return advanced

    def read(self) -> Journal | None:
        data = read_json(os.path.join(self.directory, JOURNAL))
        return None if data is None else self._decode(data)

    def close_committed(self, journal: Journal) -> None:
        """What follows the commit point; may be repeated."""
        self.observe("manifest", self.directory)
        write_json(os.path.join(self.directory, "manifest.json"), journal.manifest.to_json())
        self.observe("previous", self.directory)
        self._keep_previous(journal)
        self.forget(journal)

    def forget(self, journal: Journal) -> None:
        self.observe("forget", self.directory)
        os.unlink(os.path.join(self.directory, JOURNAL))
        sync_directory(self.directory)
        shutil.rmtree(self._saved(journal.token), ignore_errors=True)

    def remove_leftovers(self, journal: Journal | None) -> None:
        """Backups of runs that were killed before or after their journal was in force."""
        keep = None if journal is None else os.path.basename(self._saved(journal.token))
        for name in os.listdir(self.directory):
            if name.startswith(SAVED) and name != keep:
                shutil.rmtree(os.path.join(self.directory, name))

    def _keep_previous(self, journal: Journal) -> None:
        previous = os.path.join(self.directory, PREVIOUS)
        saved = self._saved(journal.token)
        if journal.changes and os.path.isdir(saved):
            os.makedirs(previous, 0o700, exist_ok=True)
            write_json(
                os.path.join(saved, "set.json"), [_encode_change(change) for change in journal.changes]
            )
            number = max((int(name) for name in os.listdir(previous)), default=0) + 1
            os.rename(saved, os.path.join(previous, str(number)))
            sync_directory(previous)
        if os.path.isdir(previous):
            numbers = sorted(int(name) for name in os.listdir(previous))
            for number in numbers[: max(0, len(numbers) - journal.keep)]:
                shutil.rmtree(os.path.join(previous, str(number)))

    def _saved(self, token: str) -> str:
        return os.path.join(self.directory, SAVED + token)

    def _write(self, journal: Journal) -> None:
        self.observe("journal", journal.phase)
        data = {
            "token": journal.token,
            "phase": journal.phase,
            "changes": [_encode_change(change) for change in journal.changes],
            "steps": [asdict(step) for step in journal.steps],
            "probes": [asdict(probe) for probe in journal.probes],
            "daemon_reload": journal.daemon_reload,
            "manifest": journal.manifest.to_json(),
            "keep": journal.keep,
            "owed": journal.owed,
        }
        write_json(os.path.join(self.directory, JOURNAL), data)

    def _decode(self, data: dict[str, Any]) -> Journal:
        # Past the commit point there is no way back, and the backups may have become the previous set already.
        saved = None if data["phase"] == COMMITTED else self._saved(data["token"])
        changes: list[Change] = []
        for index, item in enumerate(data["changes"]):
            before = _decode_node(item["before"], saved and os.path.join(saved, str(index)))
            changes.append(
                Change(
                    item["path"], before, _decode_node(item["after"], None), item["trigger"], item["secret"]
                )
            )
        return Journal(
            token=data["token"],
            phase=data["phase"],
            changes=tuple(changes),
            steps=tuple(ServiceStep(**step) for step in data["steps"]),
            probes=tuple(
                ProbeSpec(**{**probe, "command": tuple(probe["command"])}) for probe in data["probes"]
            ),
            daemon_reload=data["daemon_reload"],
            manifest=Manifest.from_json(data["manifest"]),
            keep=data["keep"],
            owed=data["owed"],
        )


def _encode_change(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "before": _encode_node(change.before),
        "after": _encode_node(change.after),
        "trigger": change.trigger,
        "secret": change.secret,
    }


def _encode_node(node: Node) -> dict[str, Any]:
    if isinstance(node, File):
        return {"kind": "file", "uid": node.uid, "gid": node.gid, "mode": node.mode}
    if isinstance(node, Directory):
        return {"kind": "directory", "uid": node.uid, "gid": node.gid, "mode": node.mode}
    if isinstance(node, Link):
        return {"kind": "link", "target": node.target}
    return {"kind": "absent"}


def _decode_node(data: dict[str, Any], content: str | None) -> Node:
    if data["kind"] == "file":
        body = b"" if content is None else read_bytes(content)
        return File(body, data["uid"], data["gid"], data["mode"])
    if data["kind"] == "directory":
        return Directory(data["uid"], data["gid"], data["mode"])
    if data["kind"] == "link":
        return Link(data["target"])
    return ABSENT

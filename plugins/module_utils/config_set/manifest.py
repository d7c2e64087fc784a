# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic JSON records, and the manifest: what a set owns on this host."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from .model import SetSpec
from .swap import sync_directory, write_new
from .watch import Fingerprints


@dataclass(frozen=True)
class Manifest:
    """Paths that the set has put in place (value: whether the content is secret)."""

    files: dict[str, bool] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    made: tuple[str, ...] = ()  # directories that did not exist before the set needed them
    secrets: tuple[str, ...] = field(default=(), repr=False)  # to mask yesterday's values in today's diff
    watched: Fingerprints = field(default_factory=dict)  # what the services took over last
    digest: str = ""  # of the arguments that led here; none where they hold secrets

    @property
    def paths(self) -> set[str]:
        return {*self.files, *self.links}

    @classmethod
    def of(cls, spec: SetSpec, made: tuple[str, ...], watched: Fingerprints) -> Manifest:
        files = {f.path: f.secret for f in spec.files if f.content is not None}
        return cls(files, tuple(link.path for link in spec.links), made, spec.secrets, watched, spec.digest)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Manifest:
        made, secrets = tuple(data["made"]), tuple(data["secrets"])
        # The last two came later.
        return cls(
            data["files"],
            tuple(data["links"]),
            made,
            secrets,
            data.get("watched", {}),
            data.get("digest", ""),
        )


def write_json(path: str, data: Any) -> None:
    """Replace path atomically and durably; readable by its owner only."""
    temporary = path + ".new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    write_new(temporary, json.dumps(data).encode(), 0o600)
    os.replace(temporary, path)
    sync_directory(os.path.dirname(path))


def read_json(path: str) -> Any | None:
    try:
        with open(path, "rb") as stream:
            return json.loads(stream.read())
    except FileNotFoundError:
        return None


def read_manifest(state_root: str, name: str) -> Manifest | None:
    data = read_json(os.path.join(state_root, name, "manifest.json"))
    return None if data is None else Manifest.from_json(data)


def other_owners(state_root: str, name: str) -> dict[str, str]:
    """Which path belongs to which other set on this host."""
    owners: dict[str, str] = {}
    try:
        names = os.listdir(state_root)
    except FileNotFoundError:
        return owners
    for other in names:
        manifest = None if other == name else read_manifest(state_root, other)
        if manifest:
            owners.update(dict.fromkeys(manifest.paths, other))
    return owners

# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that a host keeps: everything that a slot held, so that it can be put into a slot again; free of Ansible.

What a slot holds does not say which slot it is, but for the paths. Secrets are kept as they lie there, encrypted with the host's own key.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .config_set.manifest import read_manifest, write_json
from .config_set.model import STATE_ROOT, FileSpec, ProbeSpec, ServiceSpec, SetSpec
from .config_set.nodes import File, read_node
from .releases import SLOTS

DIRECTORY = Path("/var/lib/hardened/releases")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACE = "{slot}"

Bundle = dict[str, Any]


class BundleError(Exception):
    """What cannot be kept or put back; the message says why."""


def neutral(path: str, slot: str) -> str:
    """The path with a place for the slot, where it names one."""
    return re.sub(rf"(?<=[/@-]){slot}(?=[/.])", _PLACE, path)


def take(
    slot: str, release: str, image: str, ready_path: str, deadline: float, state_root: str = STATE_ROOT
) -> Bundle:
    """What a slot holds.

    :param ready_path: path at which the application says that it is ready, for when it is put back.
    :param deadline: seconds that this may take.
    :raises BundleError: if it is not what the last run has put there.
    """
    manifest = read_manifest(state_root, f"app-{slot}")
    if manifest is None:
        raise BundleError(f"slot {slot} holds nothing")
    files = []
    secrets: dict[str, str] = {}
    for path, secret in sorted(manifest.files.items()):
        node = read_node(path)
        if not isinstance(node, File):
            raise BundleError(f"{path} of slot {slot} is no file any more")
        if path.endswith(f"/slot-{slot}.json"):
            secrets = json.loads(node.content).get("secrets", {})
        files.append(
            {
                "path": neutral(path, slot),
                "mode": node.mode,
                "secret": secret,
                "content": base64.b64encode(node.content).decode("ascii"),
            }
        )
    probe = {"ready_path": ready_path, "deadline": deadline}
    return {
        "release": release,
        "image": image,
        "kept_at": time.time(),
        "tags": [],
        "secrets": secrets,
        "files": files,
        **probe,
    }


def spec_of(bundle: Mapping[str, Any], slot: str, port: int) -> SetSpec:
    """The set that puts a bundle into a slot, starts it, and waits until it is ready.

    :param port: at which the slot's container answers on this host.
    """
    files = tuple(
        FileSpec(
            path=str(one["path"]).replace(_PLACE, slot),
            content=base64.b64decode(one["content"]),
            mode=int(one["mode"]),
            secret=bool(one["secret"]),
        )
        for one in bundle["files"]
    )
    url = f"http://127.0.0.1:{port}{bundle['ready_path']}"
    http: dict[str, Any] = {"url": url, "status": [200], "ca_file": None, "headers": {}}
    return SetSpec(
        name=f"app-{slot}",
        files=files,
        services=(ServiceSpec(f"hardened-app@{slot}.service", enabled=True, on_change="restart"),),
        probes=(ProbeSpec(http=http, deadline=float(bundle["deadline"])),),
    )


def path_of(release: str, directory: Path = DIRECTORY) -> Path:
    """Where a release is kept.

    :raises BundleError: for a name that is none.
    """
    if not NAME.fullmatch(release):
        raise BundleError(
            f"release {release!r}: a name has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit"
        )
    return directory / f"{release}.json"


def read(release: str, directory: Path = DIRECTORY) -> Bundle:
    """A release that is kept.

    :raises BundleError: if it is not, or is damaged.
    """
    path = path_of(release, directory)
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        if loaded["release"] != release or not isinstance(loaded["files"], list):
            raise ValueError("not a release")
    except FileNotFoundError as error:
        raise BundleError(f"release {release} is not kept here") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    return dict(loaded)


def keep(bundle: Bundle, directory: Path = DIRECTORY) -> bool:
    """Write it down, for root only. False if the very same is kept already; its tags stay."""
    path = path_of(bundle["release"], directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        before = read(bundle["release"], directory)
    except BundleError:
        before = {}
    same = {key: before.get(key) for key in bundle if key not in ("kept_at", "tags")}
    if before and all(bundle[key] == value for key, value in same.items()):
        return False
    write_json(str(path), {**bundle, "tags": before.get("tags", [])})
    return True


def listed(directory: Path = DIRECTORY) -> list[dict[str, Any]]:
    """What is kept, the latest first, without its content."""
    found = []
    for path in directory.glob("*.json"):
        try:
            bundle = read(path.stem, directory)
        except BundleError:
            continue
        told = {key: bundle[key] for key in ("release", "image", "kept_at", "tags")}
        found.append({**told, "secrets": bundle.get("secrets", {})})
    return sorted(found, key=lambda one: -float(one["kept_at"]))


def superfluous(kept: Iterable[Mapping[str, Any]], many: int, needed: Iterable[str]) -> list[str]:
    """Names of what may go: neither among the latest, nor tagged, nor needed to serve or to go back to."""
    names = list(kept)
    stay = {str(one["release"]) for one in names[:many]} | set(needed)
    return [str(one["release"]) for one in names if not one["tags"] and one["release"] not in stay]


def needed(records: Path) -> set[str]:
    """Releases that serve, that would be gone back to, and that lie in the slots."""
    found: set[str] = set()
    for path in (records / "release.json", *(records / f"slot-{slot}.json" for slot in SLOTS)):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            found |= {
                str(one["release"]) for one in (record, record.get("previous") or {}) if "release" in one
            }
        except (OSError, ValueError, AttributeError):
            continue
    return found


def tag(release: str, name: str, present: bool, directory: Path = DIRECTORY) -> bool:
    """Give a release a name by which it is never removed, or take that away. A name stands for one release at a time."""
    if not NAME.fullmatch(name):
        raise BundleError(f"tag {name!r}: has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
    bundle = read(release, directory)
    changed = False
    for one in listed(directory):
        wanted = present and one["release"] == release
        if wanted == (name in one["tags"]) or (not present and one["release"] != release):
            continue
        other = bundle if one["release"] == release else read(one["release"], directory)
        tags = sorted({*other["tags"], name} if wanted else {*other["tags"]} - {name})
        write_json(str(path_of(other["release"], directory)), {**other, "tags": tags})
        changed = True
    return changed


def remove(release: str, directory: Path = DIRECTORY) -> None:
    os.unlink(path_of(release, directory))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves, what a release would fill, and where a rollback leads; free of Ansible.

A host keeps two kinds of records: ``release`` says what its fleet serves, and ``slot-blue`` and ``slot-green``, which are part of
each slot's configuration set, say what lies in the slots.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

SLOTS = ("blue", "green")
HISTORY = 5
PATH = "/var/lib/hardened/release.json"
_FIELDS = ("slot", "release", "image", "promoted_at")

Record = dict[str, Any]
Records = Mapping[str, Any]


class ReleaseError(Exception):
    """A release or rollback that must not happen; the message says why and what to do."""


def other_slot(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def is_record(value: object) -> bool:
    """Whether a value is what `promote` returns."""
    return (
        isinstance(value, Mapping)
        and all(isinstance(value.get(field), str) for field in _FIELDS)
        and value["slot"] in SLOTS
    )


def serving(records_by_host: Mapping[str, Records]) -> Record:
    """Return the fleet's release record, or an empty one before the first release.

    A host that missed the last promotion has an older record, so the latest one is the fleet's.

    :raises ReleaseError: when a host's record is damaged, since a release could then fill the very slot that serves.
    """
    found = {host: records["release"] for host, records in records_by_host.items() if "release" in records}
    damaged = [host for host, record in found.items() if not is_record(record)]
    if damaged:
        raise ReleaseError(
            f"{', '.join(damaged)}: {PATH} is not a release record, so what serves is not known. Copy it from another "
            "application host, or remove it and record anew which of /var/lib/hardened/slot-*.json serves: "
            "ansible HOST -m techsaas.hardened.release_record -a 'slot=... release=... image=...'"
        )
    return max(map(dict, found.values()), key=lambda record: str(record["promoted_at"]), default={})


def plan(
    current: Records, unchanged: Sequence[bool], image: str, wanted: str, now: datetime.datetime
) -> Record:
    """Decide whether a release is needed and which slot it fills.

    :param current: the fleet's release record, empty before the first release.
    :param unchanged: for each host, whether its serving slot is exactly what the inventory asks for.
    :param image: the image that the inventory asks for.
    :param wanted: the release's name as given by the operator, or an empty text.
    :param now: the time, from which a release without a name gets one.
    :raises ReleaseError: when the wanted name already stands for something else.
    """
    if current and unchanged and all(unchanged):
        return {"needed": False, **{key: current[key] for key in ("slot", "release", "image")}}
    if current and wanted and wanted == current["release"]:
        raise ReleaseError(
            f"release {wanted} is serving, but not with this image and configuration; give the new one another name (-e release=NAME)"
        )
    slot = other_slot(current["slot"]) if current else SLOTS[0]
    return {"needed": True, "slot": slot, "release": wanted or f"{now:%Y%m%dT%H%M%SZ}", "image": image}


def rollback(records_by_host: Mapping[str, Records], wanted: str) -> Record:
    """Return what a rollback leads to: the bundle in the idle slot, the same on every host.

    :param records_by_host: the records of each application host.
    :param wanted: name of the release to go back to, or an empty text for the one before.
    :raises ReleaseError: naming everything that stands in the way.
    """
    current = serving(records_by_host)
    if not current:
        raise ReleaseError("nothing was released here yet, so there is nothing to go back to; run deploy.yml")
    slot = other_slot(current["slot"])
    held = {host: records.get(f"slot-{slot}") or {} for host, records in records_by_host.items()}
    target = wanted or (current.get("previous") or {}).get("release", "")
    problems = []
    if not target:
        problems.append(f"release {current['release']} is the first one; there is none before it")
    if wanted and wanted == current["release"]:
        problems.append(f"release {wanted} is serving already")
    for host, bundle in held.items():
        if target and bundle.get("release") != target:
            content = f"release {bundle['release']}" if bundle else "nothing"
            problems.append(f"{host}: slot {slot} holds {content}, not release {target}")
    by_image = {bundle.get("image"): host for host, bundle in held.items()}
    if not problems and len(by_image) > 1:
        held_as = ", ".join(f"{image} on {host}" for image, host in by_image.items())
        problems.append(f"slot {slot} holds release {target} as {held_as}")
    if problems:
        raise ReleaseError(
            "; ".join(problems) + ". Deploy the image that you want instead: deploy.yml -e image=..."
        )
    return {"slot": slot, "release": target, "image": next(iter(held.values()))["image"]}


def promote(current: Records, target: Records, now: datetime.datetime) -> Record:
    """Return the release record after `target` began to serve; the same target again leaves it as it is."""
    bundle = {key: target[key] for key in ("slot", "release", "image")}
    if current and all(current.get(key) == value for key, value in bundle.items()):
        return dict(current)
    replaced = {key: current[key] for key in _FIELDS} if current else None
    history = ([replaced] if replaced else []) + list(current.get("history", []))
    return {
        **bundle,
        "promoted_at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
        "previous": replaced,
        "history": history[:HISTORY],
    }

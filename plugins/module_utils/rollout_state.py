# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a release has come on one edge, and the links that make it so; for the module and for the program that watches.

The record outlives both. Whoever changes it holds the lock of the links, and a run that a later one has overtaken changes nothing: each
run has a token, and the record keeps the highest that it has seen.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import records, slot_links

RECORD = Path("/var/lib/hardened/rollout.json")
TALLY = Path("/run/hardened-rollout/tally.json")
SETTINGS = Path("/etc/hardened/rollout.json")
LINKS = "/var/lib/hardened/edge/slots"
SOCKETS = "/run/hardened-edge"

CANARY, WATCH = "canary", "watch"
CONFIRMED, ABORTED, WITHDRAWN = "confirmed", "aborted", "withdrawn"
UNDER_WAY = (CANARY, WATCH)
# Links for clients that ask for one side, while there are two (slots.lua).
_FORCED = ("canary", "stable")

Record = dict[str, Any]


class RolloutError(Exception):
    """What must not be done; the message says why, and what to do."""


def read(path: Path = RECORD) -> Record:
    """The record, or an empty one.

    :raises RolloutError: where something else lies there.
    """
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RolloutError(f"{path} cannot be read ({error}); move it away and deploy again") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("token"), int) or "phase" not in loaded:
        raise RolloutError(f"{path} is not the record of a rollout; move it away and deploy again")
    return loaded


def fenced(record: Mapping[str, Any], token: int) -> None:
    """Refuse what a run wants that another one has overtaken.

    :raises RolloutError: then.
    """
    if record and token < record["token"]:
        raise RolloutError(
            f"run {record['token']} has taken over from this one ({token}): release {record['release']} is in phase {record['phase']}"
        )


def not_overruled(record: Mapping[str, Any], token: int) -> None:
    """Refuse to go on with a release that this edge has taken back since the run's last step. What the run has ended itself is its own.

    :raises RolloutError: then.
    """
    if (
        record
        and record["token"] == token
        and record.get("by") == "watch"
        and record["phase"] in (ABORTED, WITHDRAWN)
    ):
        raise RolloutError(f"it has gone back by itself: {record['reason']}")


def stepped(
    record: Mapping[str, Any],
    bundle: Mapping[str, Any],
    weight: int,
    seconds: float,
    until: float,
    hold: bool,
) -> Record:
    """The record once `weight` percent of the requests go to the bundle's slot.

    :param bundle: ``token``, ``release``, ``image``, ``slot`` and ``previous`` (release, image and slot of what serves).
    :param seconds: how long the step is to be observed.
    :param until: seconds since 1970 at which the canary ends by itself, unless somebody goes on with it.
    """
    now = time.time()
    same = _is_same(record, bundle) and record.get("phase") == CANARY
    return {
        **bundle,
        "id": record["id"] if same else bundle["token"],
        "phase": CANARY,
        "weight": weight,
        "begun": record["begun"] if same else now,
        "since": now,
        "seconds": seconds,
        "until": until,
        "hold": hold,
        "reason": "",
    }


def promoted(
    record: Mapping[str, Any],
    bundle: Mapping[str, Any],
    watch_seconds: float,
    must_confirm: bool,
    baseline: Mapping[str, Any] | None = None,
) -> Record:
    """The record once all requests go to the bundle's slot. Without a release before it there is nowhere to go back to, and no watch.

    :param baseline: how the release before has answered in the last step of the canary, which the watch compares with.
    """
    now = time.time()
    same = _is_same(record, bundle)
    if same and record.get("phase") in (WATCH, CONFIRMED):
        return dict(record)
    watched = watch_seconds > 0 and bool(bundle.get("previous"))
    begun = same and record.get("phase") == CANARY
    return {
        **bundle,
        # Of this attempt, on every edge: it may take several runs, and a release may be tried again under its name.
        "id": record["id"] if begun else bundle["token"],
        "phase": WATCH if watched else CONFIRMED,
        "weight": 100,
        "begun": record["begun"] if begun else now,
        "since": now,
        "seconds": watch_seconds if watched else 0,
        "until": now + watch_seconds if watched else 0,
        "must_confirm": must_confirm and watched,
        "baseline": baseline if same else None,
        "reason": "",
    }


def ended(record: Mapping[str, Any], phase: str, reason: str, by: str) -> Record:
    """The record after a canary was aborted, or a watched release confirmed or withdrawn."""
    weight = 100 if phase == CONFIRMED else 0
    return {**record, "phase": phase, "weight": weight, "ended": time.time(), "reason": reason, "by": by}


def _is_same(record: Mapping[str, Any], bundle: Mapping[str, Any]) -> bool:
    return all(record.get(key) == bundle.get(key) for key in ("release", "image", "slot"))


def carry_out(record: Record, links: str = LINKS, sockets: str = SOCKETS, path: Path = RECORD) -> list[str]:
    """Have the links say what the record says, and keep it; the caller holds the lock. Returns the numbers that moved.

    The record comes first where a release gains requests, so that whoever finds it knows more than there is to know, and last where it
    loses them.
    """
    changes = slot_links.plan(slot_links.read(links, sockets), record["slot"], record["weight"])
    gains = record["phase"] in UNDER_WAY
    if gains:
        records.write(path, record)
        _force(record, links, sockets)
    if changes:
        slot_links.apply(links, sockets, changes)
    if not gains:
        _force(record, links, sockets)
        records.write(path, record)
    return list(changes)


def _force(record: Mapping[str, Any], links: str, sockets: str) -> None:
    sides = {"canary": record["slot"], "stable": slot_links.other(record["slot"])}
    for name in _FORCED:
        path = os.path.join(links, f"{name}.sock")
        if record["phase"] == CANARY:
            temporary = os.path.join(links, f"{slot_links.TEMPORARY}{name}")
            os.symlink(slot_links.socket_path(sockets, sides[name]), temporary)
            os.replace(temporary, path)
        elif os.path.islink(path):
            os.unlink(path)


def tell(event: str, record: Mapping[str, Any], **details: Any) -> None:
    """One line in the audit trail."""
    records.audit(
        event,
        release=record["release"],
        previous=(record.get("previous") or {}).get("release"),
        weight=record["weight"],
        run=record["token"],
        **details,
    )

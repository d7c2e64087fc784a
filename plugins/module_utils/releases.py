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
PHASES = ("backfill", "contract")
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


def serving(records_by_host: Mapping[str, Records], rollouts: Mapping[str, Any] | None = None) -> Record:
    """Return the fleet's release record, or an empty one before the first release.

    A host that missed the last promotion has an older record, so the latest one is the fleet's, with the latest floor of all. Where
    requests go is the edges' matter: one that has gone back by itself, or that was told of a promotion by a run that then ended, knows
    better than any record.

    :param rollouts: for each edge, its record of the latest rollout.
    :raises ReleaseError: when a host's record is damaged, since a release could then fill the very slot that serves.
    """
    return _caught_up(_recorded(records_by_host), [one for one in (rollouts or {}).values() if one])


def _caught_up(record: Record, rollouts: list[Mapping[str, Any]]) -> Record:
    """The record with what the edges have done since; one that has gone back decides for all, since the rest has to follow it."""
    latest = max((int(one["token"]) for one in rollouts), default=0)
    last = [one for one in rollouts if one["token"] == latest]
    if not last or latest < int(record.get("token", 0)):
        return record
    bundle = {key: last[0][key] for key in ("slot", "release", "image")}
    is_recorded = bool(record) and all(record[key] == bundle[key] for key in bundle)
    if any(one["phase"] == "withdrawn" for one in last):
        if not is_recorded:
            return record
        before = last[0]["previous"]
        moment = datetime.datetime.fromtimestamp(
            max(one.get("ended", 0) for one in last), datetime.timezone.utc
        )
        why = next(str(one["reason"]) for one in last if one["phase"] == "withdrawn")
        return promote({**record, "withdrawn": why}, before, moment, latest)
    if any(one["phase"] in ("watch", "confirmed") for one in last) and not is_recorded:
        moment = datetime.datetime.fromtimestamp(max(one["since"] for one in last), datetime.timezone.utc)
        return promote(record, bundle, moment, latest)
    return record


def canary(rollouts: Mapping[str, Any]) -> Record:
    """The canary that is under way on any edge, or an empty record."""
    under_way = [one for one in rollouts.values() if one and one["phase"] == "canary"]
    return dict(max(under_way, key=lambda one: (int(one["token"]), one["weight"]), default={}))


def under_way(records_by_host: Mapping[str, Records], rollouts: Mapping[str, Any]) -> Record:
    """What promote.yml goes on with: the canary, or the release that is being watched.

    :returns: ``slot``, ``release``, ``image``, ``previous``, ``needed`` (true), and ``phase``: canary or watch.
    :raises ReleaseError: if there is neither.
    """
    found = canary(rollouts) or next(
        (one for one in rollouts.values() if one and one["phase"] == "watch"), {}
    )
    if not found:
        now = serving(records_by_host, rollouts)
        served = f"release {now['release']} serves" if now else "nothing was released yet"
        last = [
            f"{host}: {one['release']} was {one['phase']} ({one['reason']})"
            for host, one in rollouts.items()
            if one
        ]
        raise ReleaseError("; ".join([f"no release is under way, {served}", *last]))
    keys = ("slot", "release", "image", "previous", "phase")
    return {"needed": True, **{key: found[key] for key in keys}}


def history(
    records_by_host: Mapping[str, Records], kept: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """One line for each release that served or is kept, the latest first.

    :param kept: for each host, the releases that it has kept.
    """
    current = serving(records_by_host)
    served = [current, *current.get("history", [])] if current else []
    lines = []
    for number, record in enumerate(served):
        words = [
            "serves" if not number else "served",
            f"since {record['promoted_at'][:19]}Z",
            record["image"],
        ]
        if record.get("withdrawn"):
            words.append(f"withdrawn: {record['withdrawn']}")
        if is_behind(record["release"], current, kept):
            words.append(_BEHIND)
        elif record["release"] == (current.get("floor") or {}).get("release"):
            words.append("the oldest that may be gone back to")
        lines.append(_line(record["release"], words, kept))
    named = {str(record["release"]) for record in served}
    others = {str(one["release"]): str(one["image"]) for bundles in kept.values() for one in bundles}
    for name in sorted(others.keys() - named, reverse=True):
        behind = [_BEHIND] if current and is_behind(name, current, kept) else []
        lines.append(_line(name, ["never served, or long ago", others[name], *behind], kept))
    return lines or ["No release has been made."]


_BEHIND = "behind the rollback floor"


def _line(name: str, words: Sequence[str], kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    by_host = {host: {str(one["release"]): one for one in bundles} for host, bundles in kept.items()}
    where = [host for host, bundles in by_host.items() if name in bundles]
    tags = sorted({tag for host in where for tag in by_host[host][name]["tags"]})
    said = (
        "kept"
        if where and len(where) == len(kept)
        else f"kept on {', '.join(where)} only"
        if where
        else "not kept"
    )
    return ", ".join([f"{name}: {words[0]}", *words[1:], said, *(f"tag {tag}" for tag in tags)])


def _recorded(records_by_host: Mapping[str, Records]) -> Record:
    found = {host: records["release"] for host, records in records_by_host.items() if "release" in records}
    damaged = [host for host, record in found.items() if not is_record(record)]
    if damaged:
        raise ReleaseError(
            f"{', '.join(damaged)}: {PATH} is not a release record, so what serves is not known. Copy it from another "
            "application host, or remove it and record anew which of /var/lib/hardened/slot-*.json serves: "
            "ansible HOST -m techsaas.hardened.release_record -a 'slot=... release=... image=...'"
        )
    latest = max(map(dict, found.values()), key=lambda record: str(record["promoted_at"]), default={})
    floors = [record["floor"] for record in found.values() if record.get("floor")]
    if floors:
        latest["floor"] = max(floors, key=lambda floor: str(floor["raised_at"]))
    return latest


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


def rollback(
    records_by_host: Mapping[str, Records],
    wanted: str,
    rollouts: Mapping[str, Any] | None = None,
    kept: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    valid: Mapping[str, Sequence[str]] | None = None,
) -> Record:
    """Return what a rollback leads to: a bundle that every host has, in its idle slot or among those that it has kept.

    :param records_by_host: the records of each application host.
    :param wanted: name or tag of the release to go back to, or an empty text for the one before.
    :param rollouts: for each edge, its record of the latest rollout.
    :param kept: for each host, the releases that it has kept, each with ``release``, ``image``, ``tags``, and ``secrets``: by name of a
        secret, the fingerprint of the value that it was made with.
    :param valid: by name of a secret, fingerprints of the values that are valid now. What is not there is not judged.
    :returns: ``slot``, ``release``, ``image``, and ``restored``: whether it has to be put into the slot first.
    :raises ReleaseError: naming everything that stands in the way.
    """
    current = serving(records_by_host, rollouts)
    under_way = canary(rollouts or {})
    if under_way:
        raise ReleaseError(
            f"release {under_way['release']} is a canary with {under_way['weight']} % of the requests; abort.yml ends it, and "
            f"{current.get('release', 'what served before')} has them all again"
        )
    if not current:
        raise ReleaseError("nothing was released here yet, so there is nothing to go back to; run deploy.yml")
    slot = other_slot(current["slot"])
    bundles = {
        host: {str(one["release"]): one for one in (kept or {}).get(host, ())} for host in records_by_host
    }
    target = _target(current, wanted, bundles)
    behind = {
        name
        for kept_here in bundles.values()
        for name in {*kept_here, target}
        if is_behind(name, current, kept)
    }
    if target in behind:
        raise ReleaseError(_refusal(target, current))
    held = {host: records.get(f"slot-{slot}") or {} for host, records in records_by_host.items()}
    waits = {host: bundle for host, bundle in held.items() if bundle.get("release") == target}
    found = {host: bundles[host][target] for host in held if target in bundles[host]} | waits
    problems = [
        f"{host}: slot {slot} holds {_words(held[host])}, not release {target}, which was not kept either"
        for host in held
        if host not in found
    ]
    ended = {
        name
        for bundle in found.values()
        for name, mark in (bundle.get("secrets") or {}).items()
        if (valid or {}).get(name) and mark not in (valid or {})[name]
    }
    if ended:
        raise ReleaseError(
            f"release {target} was made with a value of {', '.join(sorted(ended))} that has ended since (rotate.yml). "
            + _ADVICE
        )
    by_image = {str(bundle["image"]): host for host, bundle in found.items()}
    if not problems and len(by_image) > 1:
        held_as = ", ".join(f"{image} on {host}" for image, host in by_image.items())
        problems.append(f"slot {slot} holds release {target} as {held_as}")
    if problems:
        everywhere = set.intersection(*map(set, bundles.values())) - {current["release"]} - behind
        advice = f"Kept on every host: {', '.join(sorted(everywhere))}" if everywhere else _ADVICE
        raise ReleaseError("; ".join(problems) + f". {advice}")
    return {
        "slot": slot,
        "release": target,
        "image": next(iter(by_image)),
        "restored": len(waits) < len(held),
    }


_ADVICE = "Deploy the image that you want instead: deploy.yml -e image=..."


def is_behind(
    name: str, current: Records, kept: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
) -> bool:
    """Whether a contract has taken from the schema what a release needs: it is older than the one that served then."""
    floor = current.get("floor")
    if not floor or name in (floor["release"], current["release"]):
        return False
    kept_at = [
        _moment(datetime.datetime.fromtimestamp(float(one["kept_at"]), datetime.timezone.utc))
        for bundles in (kept or {}).values()
        for one in bundles
        if one["release"] == name and "kept_at" in one
    ]
    served_at = [one["promoted_at"] for one in current.get("history", []) if one["release"] == name]
    return not any(moment > floor["raised_at"] for moment in kept_at + served_at)


def _refusal(target: str, current: Records) -> str:
    floor = current["floor"]
    serves = ", which serves" if floor["release"] == current["release"] else ""
    return (
        f"release {target} is behind the rollback floor: the contract of release {floor['release']} "
        f"({floor['raised_at'][:19]}Z) has taken from the database what only releases before it need. "
        f"The oldest that is safe is {floor['release']}{serves}. An image that can work with the database as it is can be "
        "deployed as a new release: deploy.yml -e image=..."
    )


def migration(
    records_by_host: Mapping[str, Records],
    rollouts: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, int]],
    phase: str,
) -> Record:
    """Return the release whose image runs a phase of its migration that follows a release.

    A contract must find nobody who could still go back, by hand or by itself, to what it takes the ground from.

    :param records_by_host: the records of each application host.
    :param rollouts: for each edge, its record of the latest rollout.
    :param weights: for each edge, how many of its links lead to each slot; empty where it has none.
    :param phase: backfill or contract.
    :raises ReleaseError: naming everything that stands in the way.
    """
    current = serving(records_by_host, rollouts)
    if not current:
        raise ReleaseError("nothing was released here yet, so there is nothing to migrate; run deploy.yml")
    problems = [
        f"{edge}: release {one['release']} is a canary with {one['weight']} % of the requests (promote.yml or abort.yml ends it)"
        for edge, one in rollouts.items()
        if one and one["phase"] == "canary"
    ]
    if phase == "contract":
        problems += _undecided(current, rollouts) + _astray(current, records_by_host, weights)
    if problems:
        raise ReleaseError(f"no {phase} now: {'; '.join(problems)}")
    return {key: current[key] for key in ("slot", "release", "image")}


def _undecided(current: Records, rollouts: Mapping[str, Any]) -> list[str]:
    """Edges that could still go back by themselves, or that have another release in service."""
    problems = []
    for edge, one in rollouts.items():
        if not one or one["phase"] == "canary":
            continue
        served = one if one["phase"] in ("watch", "confirmed") else one.get("previous") or {}
        if one["phase"] == "watch":
            before = (one.get("previous") or {}).get("release", "the one before")
            problems.append(
                f"{edge}: release {one['release']} is watched, and may be taken back to {before} (promote.yml confirms it)"
            )
        elif served and served["release"] != current["release"]:
            problems.append(
                f"{edge}: serves release {served['release']}, and not {current['release']} (deploy.yml)"
            )
    return problems


def _astray(
    current: Records, records_by_host: Mapping[str, Records], weights: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Edges whose requests go elsewhere, and hosts that hold something else there."""
    slot = current["slot"]
    problems = []
    for edge, links in weights.items():
        others = {name: many for name, many in links.items() if name != slot and many}
        if others:
            told = ", ".join(f"{many} to {name}" for name, many in others.items())
            problems.append(f"{edge}: not all links lead to slot {slot}: {told} (deploy.yml)")
    for host, records in records_by_host.items():
        recorded = (records.get("release") or {}).get("release", "none")
        if recorded != current["release"]:
            problems.append(
                f"{host}: has release {recorded} on record, not {current['release']} (deploy.yml)"
            )
        held = records.get(f"slot-{slot}") or {}
        if held.get("release") != current["release"]:
            problems.append(
                f"{host}: slot {slot} holds {_words(held)}, not release {current['release']} (deploy.yml)"
            )
    return problems


def floored(current: Records, release: str, now: datetime.datetime) -> Record:
    """The record once nothing before the release that serves may be gone back to; its floor stays where it is that already.

    :raises ReleaseError: if another one serves.
    """
    if not current or current["release"] != release:
        serves = f"release {current['release']} serves" if current else "nothing was released"
        raise ReleaseError(f"{serves} here, not {release}")
    if (current.get("floor") or {}).get("release") == release:
        return dict(current)
    return {**current, "floor": {"release": release, "raised_at": _moment(now)}}


def _target(current: Records, wanted: str, bundles: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Name of the release to go back to."""
    tagged = {
        name for kept in bundles.values() for name, one in kept.items() if wanted and wanted in one["tags"]
    }
    target = tagged.pop() if len(tagged) == 1 else wanted
    before = current.get("previous") or {}
    if target == current["release"]:
        raise ReleaseError(f"release {target} is serving already. {_ADVICE}")
    if target:
        return target
    if not before:
        raise ReleaseError(
            f"release {current['release']} is the first one; there is none before it. {_ADVICE}"
        )
    if before.get("withdrawn"):
        raise ReleaseError(
            f"release {before['release']} before it was withdrawn ({before['withdrawn']}); "
            f"-e release={before['release']} goes there all the same"
        )
    return str(before["release"])


def _words(bundle: Mapping[str, Any]) -> str:
    return f"release {bundle['release']}" if bundle else "nothing"


def promote(current: Records, target: Records, now: datetime.datetime, token: int = 0) -> Record:
    """Return the release record after `target` began to serve; the same target again leaves it as it is.

    :param token: of the run that made it so, from the lock of the fleet's releases; a later run has a higher one.
    """
    bundle = {key: target[key] for key in ("slot", "release", "image")}
    if current and all(current.get(key) == value for key, value in bundle.items()):
        return dict(current)
    replaced = {key: current[key] for key in (*_FIELDS, "withdrawn") if key in current} if current else None
    history = ([replaced] if replaced else []) + list(current.get("history", []))
    latest = max(token, int(current.get("token", 0)))
    return {
        **bundle,
        **({"token": latest} if latest else {}),
        **({"floor": current["floor"]} if current.get("floor") else {}),
        "promoted_at": _moment(now),
        "previous": replaced,
        "history": history[:HISTORY],
    }


def _moment(when: datetime.datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S.%fZ}"

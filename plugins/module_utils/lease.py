# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a fleet's releases: a lease that ends by itself, with a token that grows with each holder; free of Ansible.

A lock that its holder cannot give back any more must not need a human. So it has a time, which each stage of a run renews. A holder that
was only slow and wakes up too late is recognised by its token, which is lower than that of whoever has taken over.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

PATH = "/var/lib/hardened/lock.json"

Lock = dict[str, Any]


class LeaseError(Exception):
    """The lock is somebody else's; the message says whose, until when, and what to do."""


def is_held(lock: Mapping[str, Any], now: float) -> bool:
    """Whether anybody holds it. One that was put on by hand may have no end (``expires`` 0)."""
    return bool(lock.get("held")) and (not lock["expires"] or lock["expires"] > now)


def taken(
    lock: Mapping[str, Any], run: str, holder: str, reason: str, ttl: float, now: float, dead: str = ""
) -> Lock:
    """The lock once a run holds it; its own is prolonged.

    :param run: what tells this run from every other.
    :param ttl: seconds until it ends by itself.
    :param dead: a run that is known to have ended without giving the lock back.
    :raises LeaseError: while somebody else holds it.
    """
    if is_held(lock, now):
        if lock["run"] == run:
            return {**lock, "expires": now + ttl}
        if not dead or lock["run"] != dead or lock.get("manual"):
            raise LeaseError(held_by(lock, now))
    new = _new(lock, run, holder, reason, now)
    left = lock.get("run") if lock.get("held") else None
    return {**new, "expires": now + ttl, "manual": False, "took_over_from": left}


def locked(lock: Mapping[str, Any], run: str, holder: str, reason: str, ttl: float, now: float) -> Lock:
    """The lock once somebody has put it on by hand, for `ttl` seconds, or for good with 0.

    :raises LeaseError: while a run holds it; another one by hand is replaced.
    """
    if is_held(lock, now) and not lock.get("manual"):
        raise LeaseError(held_by(lock, now))
    if is_held(lock, now) and lock["reason"] == reason and not ttl and not lock["expires"]:
        return dict(lock)
    new = _new(lock, run, holder, reason, now)
    return {**new, "expires": now + ttl if ttl else 0, "manual": True, "took_over_from": None}


def renewed(lock: Mapping[str, Any], run: str, ttl: float, now: float) -> Lock:
    """The lock, prolonged before a stage of the run.

    :raises LeaseError: when the run does not hold it any more.
    """
    if not lock.get("held") or lock["run"] != run:
        whose = f"; {held_by(lock, now)}" if is_held(lock, now) else ""
        raise LeaseError(f"this run has lost the lock of the fleet's releases, so it stops here{whose}")
    return {**lock, "expires": now + ttl}


def released(lock: Mapping[str, Any], run: str) -> Lock:
    """The lock once a run has given it back; one that is somebody else's stays as it is."""
    if not lock.get("held") or lock["run"] != run:
        return dict(lock)
    return {**lock, "held": False, "expires": 0}


def unlocked(lock: Mapping[str, Any]) -> Lock:
    """The lock once somebody has taken it off by hand, whoever held it."""
    return {**lock, "held": False, "expires": 0} if lock.get("held") else dict(lock)


def held_by(lock: Mapping[str, Any], now: float) -> str:
    until = "until somebody takes it off"
    if lock["expires"]:
        moment = datetime.datetime.fromtimestamp(lock["expires"], datetime.timezone.utc)
        until = f"until {moment:%Y-%m-%dT%H:%M:%SZ} (in {max(0, round(lock['expires'] - now))} s)"
    fix = "lock.yml -e state=off takes it off" + ("" if lock.get("manual") else " if that run is gone")
    return f"{lock['holder']} holds the lock of the fleet's releases {until}: {lock['reason'] or 'no reason given'}. Wait, or {fix}"


def _new(lock: Mapping[str, Any], run: str, holder: str, reason: str, now: float) -> Lock:
    return {
        "held": True,
        "token": int(lock.get("token", 0)) + 1,
        "run": run,
        "holder": holder,
        "reason": reason,
        "acquired": now,
    }

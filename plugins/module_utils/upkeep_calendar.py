# SPDX-License-Identifier: GPL-3.0-or-later
"""When each upkeep of the fleet was done last, and when it is due; the clock is the caller's."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# Whose hosts have a record of it; "all" for every host.
TASKS = {"scan": "all", "patch": "all", "drill": "database", "pentest": "edge", "review": "all"}
DAYS = {"scan": 7, "patch": 31, "drill": 366, "pentest": 92, "review": 183}
DONE_BY = {
    "scan": "scan.yml does it",
    "patch": "patch.yml does it",
    "drill": "dr_test.yml does it",
    "pentest": "people do it, and note it: ansible edge -b -m techsaas.hardened.upkeep_record -a task=pentest",
    "review": "people do it, and note it: ansible all -b -m techsaas.hardened.upkeep_record -a task=review",
}
# So many days before its day, but at most a quarter of its time, a task is due soon.
_SOON = datetime.timedelta(days=14)
_GRACE = datetime.timedelta(days=1)


class Entry(NamedTuple):
    task: str
    # The oldest of the last times, since one host that was left out is not done.
    last: datetime.datetime | None
    next: datetime.datetime
    result: str
    # OK, SOON, DUE, or OVERDUE, which is more than a day later.
    status: str
    # Those that hold it up: failed, never done, or too long ago.
    hosts: tuple[str, ...]

    @property
    def words(self) -> str:
        last = f"{self.last:%Y-%m-%d %H:%M}" if self.last else "never"
        which = f" ({', '.join(self.hosts)})" if self.hosts else ""
        return f"{self.task}: last {last}{f' {self.result}' if self.last else ''}, next {self.next:%Y-%m-%d}, {self.status}{which}"


def moment(text: Any) -> datetime.datetime | None:
    """A time on record; none for what is none."""
    try:
        read = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=datetime.timezone.utc)


def noted(
    record: Mapping[str, Any], task: str, result: str, detail: str, now: datetime.datetime
) -> dict[str, Any]:
    """The host's record once a task has been done, or has failed."""
    tasks = dict(record.get("tasks") or {})
    before = dict(tasks.get(task) or {})
    entry = {"last": _text(now), "result": result, "detail": detail}
    entry["done"] = _text(now) if result == "ok" else before.get("done", "")
    return {"since": record.get("since") or _text(now), "tasks": {**tasks, task: entry}}


def started(record: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """The record of a host that has just come under this calendar: what was never done is due one period from here."""
    return {"since": record.get("since") or _text(now), "tasks": dict(record.get("tasks") or {})}


def entries(
    hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Iterable[str]], now: datetime.datetime
) -> list[Entry]:
    """One for each task, of what all hosts have on record.

    :param hosts: for each host C(upkeep), its record, C(days), its settings, and C(drill), the record of its last drill.
    :param groups: the groups of each host.
    """
    found = []
    for task, group in TASKS.items():
        concerned = {
            host: said for host, said in hosts.items() if group == "all" or group in set(groups.get(host, ()))
        }
        entry = _entry(task, concerned, now)
        if entry is not None:
            found.append(entry)
    return found


def _entry(task: str, hosts: Mapping[str, Mapping[str, Any]], now: datetime.datetime) -> Entry | None:
    nexts: dict[str, datetime.datetime] = {}
    lasts: dict[str, datetime.datetime | None] = {}
    results: dict[str, str] = {}
    for host, said in hosts.items():
        days = (said.get("days") or {}).get(task, DAYS[task])
        since = moment((said.get("upkeep") or {}).get("since"))
        # 0 takes a task out of the calendar; a host without a record is under none.
        if not days or since is None:
            continue
        last, done, results[host] = _of(task, said)
        lasts[host] = last
        nexts[host] = (done or since) + datetime.timedelta(days=days)
    if not nexts:
        return None
    due = min(nexts.values())
    period = min(
        datetime.timedelta(days=(hosts[host].get("days") or {}).get(task, DAYS[task])) for host in nexts
    )
    failed = [host for host, result in results.items() if result == "failed"]
    late = [host for host, next_time in nexts.items() if next_time <= now]
    never = [host for host, last in lasts.items() if last is None]
    status = (
        "OVERDUE"
        if now > due + _GRACE
        else "DUE"
        if now >= due or failed
        else "SOON"
        if now > due - min(_SOON, period / 4)
        else "OK"
    )
    oldest = None if never else min(last for last in lasts.values() if last is not None)
    result = "failed" if failed else "ok"
    return Entry(task, oldest, due, result, status, tuple(sorted({*failed, *late})))


def _of(task: str, said: Mapping[str, Any]) -> tuple[datetime.datetime | None, datetime.datetime | None, str]:
    """When it was run last, when it was done last, and what came of the last run."""
    if task == "drill":
        drill = said.get("drill") or {}
        when = moment(drill.get("at"))
        failed = bool(drill.get("failures"))
        return when, None if failed else when, "failed" if failed else "ok"
    one = ((said.get("upkeep") or {}).get("tasks") or {}).get(task) or {}
    return moment(one.get("last")), moment(one.get("done")), str(one.get("result", ""))


def _text(when: datetime.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet on one page: what serves, what is out of the ordinary, and what somebody has to do something about."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import lease, upkeep_calendar

_CERTIFICATE_DAYS = 14
_DISK_PERCENT = 90
_BACKUP_HOURS = 48
_LISTED = 10
_DAY = datetime.timedelta(days=1)


@dataclass
class Page:
    """`hosts` are what status_info says of each, None for one that did not answer; `groups` those that each is in."""

    hosts: Mapping[str, Mapping[str, Any] | None]
    groups: Mapping[str, list[str]]
    now: datetime.datetime
    secrets: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._release()
        for host, status in self.hosts.items():
            self.lines += ["", f"{host} ({', '.join(self.groups.get(host, []))})"]
            if status is None:
                self._wrong(host, "did not answer")
                continue
            # What belongs to a host is told below it, what is wrong once more at the end.
            self.lines += [f"  {line}" for line in self._usual(status)]
            for problem in self._unusual(status):
                self._wrong(host, problem)
        self._rotation()
        self._calendar()
        self.lines += ["", *([f"PROBLEM {problem}" for problem in self.problems] or ["No problems."])]

    def _wrong(self, host: str, problem: str) -> None:
        self.lines.append(f"  PROBLEM {problem}")
        self.problems.append(f"{host}: {problem}")

    def _release(self) -> None:
        records = {
            host: status["records"]["release"]
            for host, status in self.hosts.items()
            if status and "release" in status["records"]
        }
        said = {(str(record.get("release")), str(record.get("slot"))) for record in records.values()}
        for release, slot in sorted(said):
            where = [host for host, record in records.items() if record.get("release") == release]
            image = next(str(record.get("image")) for host, record in records.items() if host in where)
            self.lines.append(f"Release {release} in slot {slot} on {', '.join(where)}: {image}")
            before = (records[where[0]].get("previous") or {}).get("release")
            if before:
                self.lines.append(f"  before it {before}")
        if not said:
            self.lines.append("No release has been made.")
        if len(said) > 1:
            self.problems.append("fleet: its hosts do not serve the same release")
        locks = [status["records"].get("lock") or {} for status in self.hosts.values() if status]
        self.lines += [
            lease.held_by(lock, self.now.timestamp())
            for lock in locks
            if lease.is_held(lock, self.now.timestamp())
        ]

    def _usual(self, status: Mapping[str, Any]) -> Iterator[str]:
        edge = status.get("edge")
        if edge:
            yield "serves " + ", ".join(f"{slot} {n} %" for slot, n in edge["weights"].items() if n)
            if edge["maintenance"]:
                yield f"closed since {edge['maintenance'].get('since', '?')}: {edge['maintenance'].get('reason', '')}"
            yield from _listed(
                "revoked",
                [
                    f"{name} since {entry.get('since', '?')}: {entry.get('reason', '')}"
                    for name, entry in edge["revoked"].items()
                ],
            )
        yield from self._rollout(status["records"].get("rollout") or {})
        yield from self._blocks(status["records"].get("blocklist") or {})
        incident = status["records"].get("incident")
        if incident:
            yield f"incident {incident.get('case')} until {self._moment(incident.get('until'))}: {incident.get('reason')}"
        for name, when in (("backup", "stopped"), ("drill", "at")):
            record = status["records"].get(name)
            if record:
                yield f"{name} of {record.get(when, '?')}"
        yield from self._updates(status["records"])
        for path, end in status["certificates"].items():
            yield f"certificate {path} until {end} ({self._days(end)} days)"
        for timer in sorted(status["timers"], key=lambda one: str(one["unit"])):
            yield f"timer {timer['unit']}: last {self._moment(timer['last'])}, next {self._moment(timer['next'])}"
        if status["reboot_required"]:
            yield "wants to be restarted"

    def _updates(self, records: Mapping[str, Any]) -> Iterator[str]:
        last, pending = records.get("updates"), records.get("updates_pending")
        if last:
            yield f"updates of {last.get('finished') or last.get('started')}: {len(last.get('packages', ()))} packages {last.get('phase')}"
        if pending and pending.get("pending"):
            yield f"{len(pending['pending'])} security updates pending, seen {pending.get('last')}"

    def _rollout(self, record: Mapping[str, Any]) -> Iterator[str]:
        phase = record.get("phase")
        if phase == "canary":
            held = "held as" if record["hold"] else "under way as"
            yield f"release {record['release']} is {held} a canary with {record['weight']} % until {self._moment(record['until'])}"
        elif phase == "watch":
            yield f"release {record['release']} is watched until {self._moment(record['until'])}"
        elif phase == "aborted":
            yield f"release {record['release']} was aborted {self._moment(record.get('ended'))}: {record['reason']}"

    def _blocks(self, record: Mapping[str, Any]) -> Iterator[str]:
        blocks = [one for one in record.get("blocks", ()) if one["until"] > self.now.timestamp()]
        yield from _listed(
            "blocked",
            [
                f"{one['address']} until {self._moment(one['until'])}, by {one['by']}: {one['reason']}"
                for one in blocks
            ],
        )

    def _unusual(self, status: Mapping[str, Any]) -> Iterator[str]:
        yield from (f"unit {unit} has failed" for unit in status["units_failed"])
        rollout = status["records"].get("rollout") or {}
        if rollout.get("phase") == "withdrawn":
            yield f"release {rollout['release']} was withdrawn {self._moment(rollout.get('ended'))}: {rollout['reason']}"
        yield from (
            f"record {name} cannot be read: {why}" for name, why in status["records_unreadable"].items()
        )
        yield from (
            f"configuration {name} is not as the last run has left it; deploy with --check --diff shows how"
            for name in status["sets_changed"]
        )
        for path, end in status["certificates"].items():
            if self._days(end) < _CERTIFICATE_DAYS:
                yield f"certificate {path} ends in {self._days(end)} days; deploy renews it"
        for name, percent in status["disk_used"].items():
            if percent >= _DISK_PERCENT:
                yield f"file system {name} is {percent} % full"
        if status.get("edge") and status["edge"]["weights"]["unassigned"] not in (0, 100):
            yield f"{status['edge']['weights']['unassigned']} % of requests go to no slot"
        drained = status["records"].get("drain")
        if drained:
            yield f"out of the balance since {drained.get('since')} ({drained.get('reason')}); patch.yml brings it back"
        updates = status["records"].get("updates") or {}
        if updates.get("phase") in ("applying", "failed", "stuck"):
            yield f"an installation of updates did not end well ({updates['phase']}, {updates.get('started')}); patch.yml goes on with it"
        pending = status["records"].get("updates_pending") or {}
        if pending.get("result") == "failed":
            yield f"security updates could not be looked for {pending.get('last')}: {pending.get('problem')}"
        backup = status["records"].get("backup")
        if backup and self._age(str(backup.get("stopped", ""))) > _BACKUP_HOURS:
            yield f"the latest backup is of {backup.get('stopped')}"
        yield from (f"{n} alerts wait for {name}" for name, n in status.get("alerts_waiting", {}).items())
        yield from (f"nothing comes from {name}" for name in status.get("hosts_silent", ()))

    def _rotation(self) -> None:
        told = [one for one in self.secrets if one["status"] != "OK"]
        if told:
            self.lines += ["", "Secrets"]
        for one in told:
            line = f"{one['name']} ({one['class']}): {one['status']}, due in {one['due_in_days']} days"
            if one["status"] == "DUE":
                self.lines.append(f"  {line}")
            else:
                self.lines.append(f"  PROBLEM {line}")
                self.problems.append(f"secret {line}")

    def _calendar(self) -> None:
        hosts = {
            host: {
                "upkeep": status["records"].get("upkeep") or {},
                "drill": status["records"].get("drill") or {},
                "days": status.get("upkeep_days") or {},
            }
            for host, status in self.hosts.items()
            if status is not None
        }
        entries = upkeep_calendar.entries(hosts, self.groups, self.now)
        if entries:
            self.lines += ["", "Calendar"]
        for entry in entries:
            if entry.status in ("DUE", "OVERDUE"):
                problem = f"{entry.words}; {upkeep_calendar.DONE_BY[entry.task]}"
                self.lines.append(f"  PROBLEM {problem}")
                self.problems.append(f"calendar: {problem}")
            else:
                self.lines.append(f"  {entry.words}")

    def _moment(self, seconds: Any) -> str:
        if not seconds:
            return "never"
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _age(self, text: str) -> float:
        """Hours; none for what is no time."""
        try:
            then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return 0
        return (self.now - then) / datetime.timedelta(hours=1)

    def _days(self, end: str) -> int:
        return (datetime.datetime.fromisoformat(end.replace("Z", "+00:00")) - self.now) // _DAY


def _listed(what: str, entries: list[str]) -> Iterator[str]:
    yield from (f"{what} {entry}" for entry in entries[:_LISTED])
    if len(entries) > _LISTED:
        yield f"{what} {len(entries) - _LISTED} more"

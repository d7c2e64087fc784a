# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks of all edges and collectors come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.problem_report import Report, table

_ENDING = "The deployment was looked at, and not changed."
_NO_RESULT = "run with -vvv to see why its task gave no result"


@dataclass
class Summary:
    """`edges`, `collectors` and `apps` are results of verify_edge, verify_logs and verify_release by host; None where there is none."""

    edges: Mapping[str, Mapping[str, Any] | None]
    collectors: Mapping[str, Mapping[str, Any] | None]
    apps: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    checks: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        report = Report()
        for host, result in self.edges.items():
            self._add(report, host, result, "edge")
        for host, result in self.apps.items():
            self._add(report, host, result, "app")
        self._add_collectors(report)
        self.rows = report.rows()

    def _add(self, report: Report, host: str, result: Mapping[str, Any] | None, what: str) -> None:
        if not result or "problems" not in result:
            said = str((result or {}).get("msg", "")).partition("\n")[0] or "was not looked at"
            report.add(what, "NO_RESULT", said, _NO_RESULT, host)
            return
        self.checks += [(host, check) for check in result.get("checks", ())]
        for problem in result["problems"]:
            report.add(
                problem.get("variable", what), problem["code"], problem["message"], problem["fix"], host
            )

    def _add_collectors(self, report: Report) -> None:
        """Collectors stand in for each other: a line that one of them has is missing on none."""
        wanted = {
            str(result["request_id"]) for result in self.edges.values() if result and result.get("request_id")
        }
        results = list(self.collectors.values())
        found = {place["request_id"] for result in results for place in (result or {}).get("found", ())}
        if not self.collectors:
            self.notes.append("no log line was looked for: no collector takes part in this run")
        elif not wanted:
            self.notes.append("no log line was looked for: no edge told the id of a request")
        elif wanted <= found:
            for host, result in self.collectors.items():
                kept = [check for check in (result or {}).get("checks", ()) if check["ok"]]
                self.checks += [(host, check) for check in kept]
        else:
            for host, result in self.collectors.items():
                self._add(report, host, result, "logs")

    def text(self, verbose: bool) -> str:
        lines = [f"note: {note}" for note in self.notes]
        if verbose:
            lines += self._all_checks()
        if self.rows:
            return "\n".join([table(self.rows, f"{self._counted()}. {_ENDING}"), "", *lines]).rstrip()
        return "\n".join([f"Verified: {self._counted()}.", *self._arrivals(), *lines])

    def _counted(self) -> str:
        passed = sum(1 for _host, check in self.checks if check["ok"])
        hosts = dict.fromkeys([*self.edges, *self.apps, *self.collectors])
        return f"{passed} of {len(self.checks)} checks passed on {', '.join(hosts)}"

    def _arrivals(self) -> list[str]:
        return [
            f"Log: request {check['detail']}, on {host}"
            for host, check in self.checks
            if check["name"] == "log_line" and check["ok"]
        ]

    def _all_checks(self) -> list[str]:
        hosts = max((len(host) for host, _check in self.checks), default=0)
        names = max((len(check["name"]) for _host, check in self.checks), default=0)
        return [
            f"{host:<{hosts}}  {check['name']:<{names}}  {'ok' if check['ok'] else 'FAILED':<6}"
            f"  {check['duration_ms']:>7.1f} ms  {check['detail']}"
            for host, check in self.checks
        ]

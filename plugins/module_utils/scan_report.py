# SPDX-License-Identifier: GPL-3.0-or-later
"""What a weekly scan has found, as text and as SARIF 2.1.0; free of Ansible."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("low", "medium", "high")
THRESHOLDS = (*LEVELS, "never")
_SARIF_LEVEL = {"low": "note", "medium": "warning", "high": "error"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    "pending-security-update": "A security update of an installed package is not installed",
    "held-security-update": "A security update is held back",
    "replaced-file-in-use": "A service runs a file that an update has replaced",
    "restart-pending": "The host has to be restarted for an update",
    "image-security-update": "A package in the image that serves has a security update",
    "python-vulnerability": "A Python distribution in the image has a known vulnerability",
    "value-in-clear": "A secret stands in clear in a file of the inventory",
}


@dataclass(frozen=True)
class Finding:
    rule: str
    level: str
    message: str
    # A host, an image, or a file.
    where: str
    line: int = 0


@dataclass
class Scan:
    """Findings, and what was looked at, and what was not."""

    findings: list[Finding] = field(default_factory=list)
    scanned: list[str] = field(default_factory=list)
    not_scanned: list[str] = field(default_factory=list)

    def host(self, host: str, updates: Mapping[str, Any] | None, stale: Mapping[str, Any] | None) -> None:
        if not updates or updates.get("failed") or "updates" not in updates:
            why = str((updates or {}).get("msg") or "it did not answer").splitlines()[0]
            self.not_scanned.append(f"packages of {host}: {why}")
            return
        self.scanned.append(f"packages of {host}, by its own apt")
        for update in updates["updates"]:
            # apt does not say how bad it is; that Debian's security team has released it is reason enough.
            if update["security"]:
                self._add(
                    "pending-security-update",
                    "high",
                    host,
                    f"{update['name']} {update['before']}, {update['after']} is there",
                )
        for update in updates.get("held", ()):
            if update["security"]:
                self._add(
                    "held-security-update",
                    "medium",
                    host,
                    f"{update['name']} {update['before']} is held, {update['after']} is there",
                )
        if not stale or "restarted" not in stale:
            self.not_scanned.append(f"running services of {host}")
            return
        self.scanned.append(f"running services of {host}")
        for unit in stale["restarted"]:
            self._add("replaced-file-in-use", "medium", host, f"{unit} runs files of before an update")
        for reason in stale["reboot"]:
            self._add("restart-pending", "medium", host, reason)

    def image(
        self, image: str, problem: str, contents: Mapping[str, Any], compared: Mapping[str, Any] | None
    ) -> None:
        """:param compared: what a host of the same release knows, with its name; none where there is no such host."""
        if problem:
            self.not_scanned.append(f"packages of image {image or '(none)'}: {problem}")
            return
        release = f"{contents['distribution']} {contents['version']}".strip() or "of no known distribution"
        if compared is None:
            self.not_scanned.append(
                f"packages of image {image}: it is {release}, of which no host of the fleet knows the security updates"
            )
            return
        if "updates" not in compared:
            self.not_scanned.append(
                f"packages of image {image}: {compared.get('msg', 'nothing was compared')}"
            )
            return
        unknown = list(compared["unknown"])
        count = len(contents["packages"]) - len(unknown)
        self.scanned.append(
            f"{count} packages of image {image} ({release}), by the apt of a host of that release"
        )
        if unknown:
            self.not_scanned.append(f"of image {image}, which its sources do not have: {', '.join(unknown)}")
        for update in compared["updates"]:
            self._add(
                "image-security-update",
                "high",
                image,
                f"{update['name']} {update['before']}, {update['after']} is there",
            )

    def python(
        self, image: str, names: list[str], problem: str, answers: Iterable[Mapping[str, Any]]
    ) -> None:
        """:param answers: what pip-audit says of each."""
        if problem:
            self.not_scanned.append(f"{len(names)} Python distributions of image {image}: {problem}")
            return
        # It ends well also where it has found no data at all: what it skips was not looked at.
        judged = {str(one["name"]).lower(): one for one in answers if not one.get("skip_reason")}
        skipped = [name for name in names if name.lower() not in judged]
        if judged:
            self.scanned.append(f"{len(judged)} Python distributions of image {image}, by pip-audit")
        if skipped:
            self.not_scanned.append(
                f"of image {image}, of which pip-audit has no data: {', '.join(sorted(skipped))}"
            )
        for one in judged.values():
            for flaw in one.get("vulns", ()):
                fixed = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
                self._add(
                    "python-vulnerability",
                    "high",
                    image,
                    f"{one['name']} {one['version']}: {flaw['id']}, fixed in {fixed}",
                )

    def secrets(self, files: int, places: Iterable[tuple[str, str, int]], where: str) -> None:
        self.scanned.append(f"{files} files of {where}, for secrets in clear")
        for path, variable, line in places:
            self.findings.append(Finding("value-in-clear", "high", f"{variable} stands in clear", path, line))

    def _add(self, rule: str, level: str, where: str, message: str) -> None:
        self.findings.append(Finding(rule, level, message, where))

    def over(self, threshold: str) -> list[Finding]:
        """The findings of a level, or of a higher one."""
        if threshold == "never":
            return []
        return [one for one in self.findings if LEVELS.index(one.level) >= LEVELS.index(threshold)]

    @property
    def lines(self) -> list[str]:
        ordered = sorted(
            self.findings, key=lambda one: (-LEVELS.index(one.level), one.rule, one.where, one.message)
        )
        counts = ", ".join(
            f"{sum(one.level == level for one in ordered)} {level}" for level in reversed(LEVELS)
        )
        return [
            f"{len(ordered)} findings: {counts}",
            *(
                f"{one.level:6} {one.where}{f':{one.line}' if one.line else ''}: {one.message} ({one.rule})"
                for one in ordered
            ),
            "Looked at:",
            *(f"  {what}" for what in self.scanned),
            *(["Not looked at:"] if self.not_scanned else []),
            *(f"  {what}" for what in self.not_scanned),
        ]

    def sarif(self, finished: str) -> dict[str, Any]:
        used = sorted({one.rule for one in self.findings})
        return {
            "$schema": _SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "techsaas.hardened scan",
                            "rules": [
                                {"id": rule, "shortDescription": {"text": _RULES[rule]}} for rule in used
                            ],
                        }
                    },
                    "invocations": [
                        {
                            # Whether everything that was meant to be looked at was.
                            "executionSuccessful": not self.not_scanned,
                            "endTimeUtc": finished,
                            "toolExecutionNotifications": [
                                *_notifications(self.scanned, "none", "looked at"),
                                *_notifications(self.not_scanned, "warning", "not looked at"),
                            ],
                        }
                    ],
                    "results": [_result(one, used) for one in self.findings],
                }
            ],
        }


def _notifications(what: list[str], level: str, word: str) -> Iterator[dict[str, Any]]:
    yield from ({"level": level, "message": {"text": f"{word}: {one}"}} for one in what)


def _result(finding: Finding, rules: list[str]) -> dict[str, Any]:
    location: dict[str, Any]
    if finding.line:
        location = {
            "physicalLocation": {
                "artifactLocation": {"uri": finding.where},
                "region": {"startLine": finding.line},
            }
        }
    else:
        location = {"logicalLocations": [{"name": finding.where, "kind": "module"}]}
    named = "\0".join((finding.rule, finding.where, finding.message))
    return {
        "ruleId": finding.rule,
        "ruleIndex": rules.index(finding.rule),
        "level": _SARIF_LEVEL[finding.level],
        "message": {"text": f"{finding.where}: {finding.message}"},
        "locations": [location],
        "partialFingerprints": {"finding/v1": hashlib.sha256(named.encode()).hexdigest()},
    }

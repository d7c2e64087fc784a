# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan tells: findings, levels, and above all what it has not looked at."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.scan_report import Scan

UPDATE = {"name": "libssl3", "before": "1", "after": "2", "security": True}
NOTHING: dict[str, Any] = {"restarted": [], "reboot": []}
IMAGE = {
    "distribution": "debian",
    "version": "13",
    "packages": {"a": "1", "b": "1"},
    "python": {"x": "1", "y": "1"},
}


def test_a_host() -> None:
    scan = Scan()
    stale = {"restarted": ["nginx.service"], "reboot": ["kernel 2 is installed, 1 runs"]}
    other = {**UPDATE, "name": "tzdata", "security": False}
    scan.host("app-1", {"updates": [UPDATE, other], "held": [{**UPDATE, "name": "held"}]}, stale)
    assert [(one.rule, one.level) for one in scan.findings] == [
        ("pending-security-update", "high"),
        ("held-security-update", "medium"),
        ("replaced-file-in-use", "medium"),
        ("restart-pending", "medium"),
    ]
    assert scan.not_scanned == []


@pytest.mark.parametrize(
    "answer", [None, {}, {"failed": True, "msg": "no route"}, {"msg": "no route", "failed": False}]
)
def test_a_host_that_could_not_be_asked_was_not_looked_at(answer: Any) -> None:
    scan = Scan()
    scan.host("app-1", answer, None)
    assert (len(scan.not_scanned), scan.scanned, scan.findings) == (1, [], [])


def test_an_image() -> None:
    scan = Scan()
    scan.image("i", "", IMAGE, {"updates": [UPDATE], "unknown": ["b"]})
    assert "1 packages of image i (debian 13)" in scan.scanned[0]
    assert scan.not_scanned == ["of image i, which its sources do not have: b"]
    assert [one.rule for one in scan.findings] == ["image-security-update"]


@pytest.mark.parametrize(
    ("problem", "compared"),
    [("no database", None), ("", None), ("", {"msg": "no sources"})],
)
def test_an_image_that_nobody_can_compare_was_not_looked_at(problem: str, compared: Any) -> None:
    scan = Scan()
    scan.image("i", problem, IMAGE, compared)
    assert (len(scan.not_scanned), scan.scanned) == (1, [])


def test_distributions_that_were_skipped_were_not_looked_at() -> None:
    scan = Scan()
    flaw = {"id": "PYSEC-1", "fix_versions": ["2"]}
    scan.python(
        "i",
        ["x", "y"],
        "",
        [{"name": "x", "version": "1", "vulns": [flaw]}, {"name": "y", "skip_reason": "not found"}],
    )
    assert scan.scanned == ["1 Python distributions of image i, by pip-audit"]
    assert scan.not_scanned == ["of image i, of which pip-audit has no data: y"]
    assert [one.message for one in scan.findings] == ["x 1: PYSEC-1, fixed in 2"]
    nothing = Scan()
    nothing.python("i", ["x"], "", [{"name": "x", "skip_reason": "not found"}])
    assert nothing.scanned == [] and len(nothing.not_scanned) == 1


@pytest.mark.parametrize(("threshold", "count"), [("high", 1), ("medium", 2), ("low", 2), ("never", 0)])
def test_thresholds(threshold: str, count: int) -> None:
    scan = Scan()
    scan.host("h", {"updates": [UPDATE], "held": []}, {"restarted": ["x.service"], "reboot": []})
    assert len(scan.over(threshold)) == count


def test_the_file_has_the_form_of_sarif() -> None:
    scan = Scan()
    scan.host("app-1", {"updates": [UPDATE], "held": []}, NOTHING)
    scan.host("app-2", None, None)
    scan.secrets(3, [("group_vars/all.yml", "app_secret_key", 7)], "the inventory")
    sarif = scan.sarif("2026-11-29T12:00:00Z")
    (run,) = sarif["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert sarif["version"] == "2.1.0"
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
    places = [result["locations"][0] for result in run["results"]]
    assert places[0]["logicalLocations"][0]["name"] == "app-1"
    assert places[1]["physicalLocation"] == {
        "artifactLocation": {"uri": "group_vars/all.yml"},
        "region": {"startLine": 7},
    }
    (invocation,) = run["invocations"]
    assert not invocation["executionSuccessful"], "one host was not looked at"
    told = [one["message"]["text"] for one in invocation["toolExecutionNotifications"]]
    assert any("not looked at: packages of app-2" in text for text in told)

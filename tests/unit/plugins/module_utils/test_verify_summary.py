# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict: nothing failed is lost, nothing proven is called missing."""

from __future__ import annotations

from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.verify_summary import Summary


def edge_result(request_id: str = "r1", *failed: str) -> dict[str, Any]:
    checks = [{"name": "health", "ok": True, "detail": "200", "duration_ms": 3.0}]
    checks += [{"name": name, "ok": False, "detail": "saw", "duration_ms": 1.0} for name in failed]
    problems = [{"variable": name, "code": "VERIFY", "message": "saw", "fix": "do"} for name in failed]
    return {"checks": checks, "problems": problems, "request_id": request_id}


def logs_result(*found: str, missing: tuple[str, ...] = ()) -> dict[str, Any]:
    checks = [
        {"name": "log_line", "ok": True, "detail": f"{value} from app-1", "duration_ms": 9.0}
        for value in found
    ]
    checks += [{"name": "log_line", "ok": False, "detail": value, "duration_ms": 9.0} for value in missing]
    problems = [
        {"variable": "log_line", "code": "VERIFY", "message": value, "fix": "look"} for value in missing
    ]
    return {"found": [{"request_id": value} for value in found], "checks": checks, "problems": problems}


def test_all_is_well() -> None:
    summary = Summary({"edge-1": edge_result()}, {"log-1": logs_result("r1")})
    assert summary.rows == []
    text = summary.text(verbose=False)
    assert text == "Verified: 2 of 2 checks passed on edge-1, log-1.\nLog: request r1 from app-1, on log-1"
    assert "edge-1  health    ok" in summary.text(verbose=True)


def test_equal_problems_of_two_edges_are_one_row() -> None:
    summary = Summary({"e1": edge_result("r1", "http2"), "e2": edge_result("r2", "http2")}, {})
    assert [(row["variable"], row["hosts"]) for row in summary.rows] == [("http2", ["e1", "e2"])]
    text = summary.text(verbose=False)
    assert "2 of 4 checks passed" in text
    assert "no collector takes part" in text


def test_collectors_stand_in_for_each_other() -> None:
    first, second = logs_result("r1", missing=("r2",)), logs_result("r2")
    edges = {"e1": edge_result("r1"), "e2": edge_result("r2")}
    assert Summary(edges, {"l1": first, "l2": second}).rows == []
    assert Summary(edges, {"l1": logs_result("r1", "r2"), "l2": {"skipped": True}}).rows == []


def test_missing_line() -> None:
    summary = Summary({"e1": edge_result("r1", "http2")}, {"l1": logs_result(missing=("r1",))})
    assert [row["variable"] for row in summary.rows] == ["http2", "log_line"]


def test_no_request_to_look_for() -> None:
    summary = Summary({"e1": edge_result("", "request_id")}, {"l1": {"skipped": True}})
    assert [row["variable"] for row in summary.rows] == ["request_id"]
    assert "no edge told the id" in summary.text(verbose=False)


def test_host_without_a_result_is_no_success() -> None:
    assert [row["code"] for row in Summary({"e1": None}, {}).rows] == ["NO_RESULT"]
    broken = {"failed": True, "msg": "no Python\nmore"}
    assert [row["rule"] for row in Summary({"e1": broken}, {}).rows] == ["no Python"]
    assert [row["code"] for row in Summary({"e1": edge_result()}, {"l1": None}).rows] == ["NO_RESULT"]

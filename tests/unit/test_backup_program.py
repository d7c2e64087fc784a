# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program on the database's host makes of times, of the archive's state, and of what it said before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from house import ROOT

PROGRAM = run_path(str(ROOT / "roles/backup/files/backup"))
LIMITS = {"archive_lag_max": 300, "age_max": 3600, "stanza": "db-1"}
NOW = PROGRAM["moment"]("2026-01-31T12:00:00+00:00").timestamp()
RECORD = {"stopped": "2026-01-31T11:30:00+00:00"}


@pytest.mark.parametrize(
    ("record", "waiting", "events"),
    [
        (RECORD, ["0", ""], set()),
        (RECORD, ["3", "300"], set()),
        (RECORD, ["3", "301"], {"backup_archive_lag"}),
        ({}, ["0", ""], {"backup_overdue"}),
        ({"stopped": "2026-01-31T10:59:59+00:00"}, ["9", "900"], {"backup_overdue", "backup_archive_lag"}),
        ({"stopped": "2026-01-31T11:00:00+00:00"}, ["0", ""], set()),
    ],
)
def test_what_is_wrong(record: dict[str, str], waiting: list[str], events: set[str]) -> None:
    assert set(PROGRAM["problems"](LIMITS, record, waiting, NOW)) == events


def test_alerts_are_raised_once_an_hour_and_cleared_once() -> None:
    news: Callable[..., Any] = PROGRAM["news"]
    lag = {"backup_archive_lag": "why"}
    assert news({}, lag, NOW) == (["backup_archive_lag"], [], {"backup_archive_lag": NOW})
    assert news({"backup_archive_lag": NOW - 30}, lag, NOW) == ([], [], {"backup_archive_lag": NOW - 30})
    assert news({"backup_archive_lag": NOW - 3600}, lag, NOW)[0] == ["backup_archive_lag"]
    assert news({"backup_archive_lag": NOW - 30}, {}, NOW) == ([], ["backup_archive_lag"], {})
    assert news({}, {}, NOW) == ([], [], {})


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31T12:00:00", "", "2026-13-01T00:00:00+00:00"])
def test_a_time_without_doubt_is_asked_for(text: str) -> None:
    with pytest.raises(PROGRAM["Failure"], match="2026-01-31T12:00:00"):
        PROGRAM["moment"](text)


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        (None, False),
        ("2026-01-31T10:00:00+00:00", False),
        ("2026-01-31T11:00:00+01:00", False),
        ("2026-01-31T09:59:59+00:00", True),
        ("2999-01-01T00:00:00+00:00", True),
    ],
)
def test_a_time_outside_of_the_archive_is_refused(
    monkeypatch: pytest.MonkeyPatch, target: str | None, refused: bool
) -> None:
    first = PROGRAM["moment"]("2026-01-31T10:00:00+00:00").timestamp()
    found = [
        {"label": "one", "timestamp": {"stop": first}},
        {"label": "two", "timestamp": {"stop": first + 9}},
    ]
    window = PROGRAM["window"]
    monkeypatch.setitem(window.__globals__, "backups", lambda settings: found)
    if refused:
        with pytest.raises(
            PROGRAM["Failure"], match="outside of what the archive holds, 2026-01-31T10:00:00"
        ):
            window(LIMITS, target)
    else:
        assert window(LIMITS, target)["backups"] == ["one", "two"]


def test_nothing_to_go_back_to_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    window = PROGRAM["window"]
    monkeypatch.setitem(window.__globals__, "backups", lambda settings: [])
    with pytest.raises(PROGRAM["Failure"], match="no backup of db-1"):
        window(LIMITS, None)


def test_a_record_is_whole_or_the_one_before(tmp_path: Path) -> None:
    PROGRAM["write"](tmp_path / "record.json", {"label": "one"})
    with pytest.raises(TypeError):
        PROGRAM["write"](tmp_path / "record.json", {"label": object()})
    assert '"one"' in (tmp_path / "record.json").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]

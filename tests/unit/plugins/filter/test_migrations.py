# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of SQL as the inventory names them, and what preflight is told of each."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.techsaas.hardened.plugins.filter.migrations import FilterModule
from ansible_collections.techsaas.hardened.plugins.module_utils.sql_rules import RULES

judge = FilterModule().filters()["migration_sql"]


def test_each_finding_has_its_file_and_line(tmp_path: Path) -> None:
    directory = tmp_path / "sql"
    directory.mkdir()
    (directory / "2.sql").write_text("SELECT 1;\n\nDROP TABLE items;\n", encoding="utf-8")
    (directory / "1.sql").write_text("CREATE INDEX a ON items (x);\n", encoding="utf-8")
    (directory / "3.sql").write_text(
        "-- hardened: allow DROPPED because it was never used\nDROP TABLE nothing;\n", encoding="utf-8"
    )
    (directory / "README").write_text("DROP TABLE items;", encoding="utf-8")
    (tmp_path / "other.sql").write_bytes(b"SELECT '\xff';")
    found = judge(["sql", "sql/2.sql", "other.sql"], str(tmp_path))
    assert [(one["variable"], one["code"]) for one in found["problems"]] == [
        ("sql/1.sql:1", "INDEX"),
        ("sql/2.sql:3", "DROPPED"),
        ("other.sql", "UNREADABLE"),
    ]
    assert (found["problems"][1]["rule"], found["problems"][1]["fix"]) == RULES["DROPPED"]
    assert found["notes"] == ["allowed in sql/3.sql:2: DROPPED, because it was never used"]
    assert judge([str(directory / "1.sql")], "/nowhere")["problems"][0]["variable"] == f"{directory}/1.sql:1"
    assert judge([], "") == {"problems": [], "notes": []}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that judges on the controller what a migration is going to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import sql_rules


def migration_sql(paths: Sequence[str], directory: str) -> dict[str, list[Any]]:
    """See migration_sql.yml."""
    problems: list[dict[str, str]] = []
    notes: list[str] = []
    for name, path in _files(paths, Path(directory)):
        try:
            judged = sql_rules.judge(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            rule, fix = "cannot be read as UTF-8", "correct its encoding, or who may read it"
            problems.append({"variable": name, "code": "UNREADABLE", "rule": rule, "fix": fix})
            continue
        problems += [
            {"variable": f"{name}:{one.line}", "code": one.rule, "rule": one.says, "fix": one.fix}
            for one in judged.findings
        ]
        notes += [f"allowed in {name}:{one.line}: {one.rule}, because {one.reason}" for one in judged.waived]
    return {"problems": problems, "notes": notes}


def _files(paths: Sequence[str], directory: Path) -> Iterator[tuple[str, Path]]:
    """Each file once, by the name that the inventory has for it; those of a directory in the order of their names."""
    seen = set()
    for name in paths:
        path = directory / name
        inside = sorted(path.glob("*.sql")) if path.is_dir() else [path]
        for one in inside:
            if one not in seen:
                seen.add(one)
                yield str(Path(name, one.name) if path.is_dir() else name), one


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"migration_sql": migration_sql}

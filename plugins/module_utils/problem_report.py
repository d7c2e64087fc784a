# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of many hosts, each told once: rows for machines, a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_SHOWN = 5
_FILES = 3


class _Key(NamedTuple):
    variable: str
    code: str
    rule: str
    fix: str


class Report:
    def __init__(self) -> None:
        self._rows: dict[_Key, tuple[dict[str, None], dict[str, None]]] = {}
        self._unnamed: dict[_Key, int] = {}

    def add(self, variable: str, code: str, rule: str, fix: str, host: str = "", file: str = "") -> None:
        """`host` is empty for what concerns no single host; `file` is FILE:LINE where the cause was written."""
        hosts, files = self._rows.setdefault(_Key(variable, code, rule, fix), ({}, {}))
        if host:
            hosts[host] = None
        if file:
            files[file] = None

    def add_row(self, row: Mapping[str, Any]) -> None:
        """A row that another report made, which names only some of its hosts."""
        key = _Key(row["variable"], row["code"], row["rule"], row["fix"])
        for host in row.get("hosts") or [""]:
            self.add(*key, host=host, file=row.get("file", ""))
        self._unnamed[key] = max(0, row.get("host_count", 0) - len(row.get("hosts") or []))

    def rows(self) -> list[dict[str, Any]]:
        result = []
        for key, (hosts, files) in sorted(self._rows.items(), key=lambda item: item[0]):
            row: dict[str, Any] = {
                **key._asdict(),
                "hosts": list(hosts)[:_SHOWN],
                "host_count": len(hosts) + self._unnamed.get(key, 0),
            }
            if files:
                row["file"] = ", ".join(_short(name) for name in list(files)[:_FILES])
                if len(files) > _FILES:
                    row["file"] += f" and {len(files) - _FILES} more"
            result.append(row)
        return result


def table(rows: list[dict[str, Any]], ending: str = "Nothing was changed.") -> str:
    """All problems, grouped by what they are about."""
    subjects = {row["variable"] for row in rows}
    counted = f"{len(rows)} problem{'s' if len(rows) != 1 else ''}"
    lines = [f"{counted} in {len(subjects)} place{'s' if len(subjects) != 1 else ''}. {ending}"]
    width = max((len(row["variable"]) for row in rows), default=0)
    codes = max((len(row["code"]) for row in rows), default=0)
    for row in rows:
        where = "; ".join(part for part in (hosts_text(row), row.get("file", "")) if part)
        lines.append("")
        lines.append(f"{row['variable']:<{width}}  {row['code']:<{codes}}  {where}".rstrip())
        lines += [f"    {line}" for line in row["rule"].splitlines()]
        lines.append(f"    Fix: {row['fix']}")
    return "\n".join(lines)


def hosts_text(row: dict[str, Any]) -> str:
    names, count = row.get("hosts") or [], row.get("host_count", 0)
    more = count - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _short(place: str) -> str:
    """Relative to where the run was started, when it lies below."""
    path, colon, line = place.rpartition(":")
    if not colon or not path.startswith("/"):
        return place
    try:
        return f"{Path(path).relative_to(Path.cwd())}:{line}"
    except (ValueError, OSError):
        return place

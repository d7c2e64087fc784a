# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the option tables of roles/*/README.md, between two marks, from meta/argument_specs.yml.

--check changes nothing and fails when a table is out of date.
"""

from __future__ import annotations

import json
import re
import sys

from house import Option, Role, roles, walk

BEGIN = "<!-- options: written by `make docs-tables` from meta/argument_specs.yml -->"
END = "<!-- end of options -->"
REGION = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
# Ansible's: a parenthesis within is written "\)" in some kinds, and cannot be in others.
MARKUP = re.compile(r"\b(?:[CMP]\((?P<plain>[^)]*)\)|(?:O|V|RV|E)\((?P<escaped>(?:[^)\\]|\\.)*)\))")


def _marked(found: re.Match[str]) -> str:
    text = found["plain"] if found["escaped"] is None else re.sub(r"\\(.)", r"\1", found["escaped"])
    return f"`{text}`"


def _text(value: str | list[str]) -> str:
    """A description as one table cell."""
    joined = " ".join(value) if isinstance(value, list) else value
    return MARKUP.sub(_marked, " ".join(joined.split())).replace("|", "\\|")


def _default(option: Option) -> str:
    if option.spec.get("required"):
        return "required"
    if "default" not in option.spec:
        return ""
    value = option.spec["default"]
    shown = value if isinstance(value, str) and value else json.dumps(value)
    return f"`{' '.join(shown.split())}`".replace("|", "\\|")


def _description(option: Option) -> str:
    text = _text(option.spec.get("description", ""))
    choices = ", ".join(f"`{choice}`" for choice in option.spec.get("choices") or [])
    return f"{text} One of {choices}." if choices else text


def table(role: Role) -> str:
    """The marked region of the role's README."""
    lines = [BEGIN]
    for entry_point, spec in role.entry_points.items():
        if entry_point != "main":
            lines += ["", f"### Entry point `{entry_point}`", "", _text(spec.get("short_description", ""))]
        rows = [
            f"| `{option.path}` | {option.type} | {_default(option)} | {_description(option)} |"
            for option in walk(spec.get("options") or {})
        ]
        if rows:
            lines += ["", "| Option | Type | Default | Description |", "| --- | --- | --- | --- |", *rows]
    return "\n".join([*lines, "", END])


def problem(role: Role, *, write: bool) -> str | None:
    """What is wrong with the role's table, after putting it right where that is wanted and possible."""
    if not role.readme.is_file():
        return f"roles/{role.name}/README.md is missing"
    old = role.readme.read_text(encoding="utf-8")
    if not REGION.search(old):
        return f"roles/{role.name}/README.md has no option table: add these two lines\n{BEGIN}\n{END}"
    new = REGION.sub(lambda _match: table(role), old)
    if new == old:
        return None
    if not write:
        return f"roles/{role.name}/README.md: the option table is out of date; run: make docs-tables"
    role.readme.write_text(new, encoding="utf-8")
    print(f"wrote roles/{role.name}/README.md")
    return None


def main(arguments: list[str]) -> int:
    found = [text for role in roles() if (text := problem(role, write="--check" not in arguments))]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

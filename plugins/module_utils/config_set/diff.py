# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows changes in Ansible's diff form, secrets hidden on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from .mask import MASK, Masker
from .model import Change, Renewal
from .nodes import Directory, File, Link, Node

HIDDEN = "(content is secret)\n"
Diff = dict[str, str]


def diff(changes: Sequence[Change], masker: Masker, renewals: Sequence[Renewal] = ()) -> list[Diff]:
    entries: list[Diff] = []
    for change in changes:
        entries.extend(_entries(change, masker))
    # Of a file that others own only its name is told.
    entries.extend({"prepared": masker.text(f"{r.path}: watched file {r.word}\n")} for r in renewals)
    return entries


def _entries(change: Change, masker: Masker) -> list[Diff]:
    entries: list[Diff] = []
    before, after = change.before, change.after
    if isinstance(before, File) and isinstance(after, File):
        if before.content != after.content:
            entries.append(_entry(change.path, _content(change, before), _content(change, after), masker))
        if _attributes(before) != _attributes(after):
            entries.append(
                _entry(f"{change.path} (attributes)", _attributes(before), _attributes(after), masker)
            )
        return entries
    return [_entry(change.path, _whole(change, before), _whole(change, after), masker)]


def _entry(header: str, before: str, after: str, masker: Masker) -> Diff:
    masked_before, masked_after = _mask_pair(before, after, masker)
    if masked_before == masked_after:
        masked_after += "(a hidden value changes)\n"
    return {"before_header": header, "after_header": header, "before": masked_before, "after": masked_after}


def _mask_pair(before: str, after: str, masker: Masker) -> tuple[str, str]:
    """Mask known values, and in `before` also the unknown older value in the place of a known new one."""
    kept = set(after.splitlines())
    patterns = [pattern for pattern in map(masker.spans, kept) if pattern]
    lines: list[str] = []
    for line in before.splitlines(keepends=True):
        body = line.rstrip("\n")
        for pattern in patterns:
            match = pattern.fullmatch(body)
            if match and body not in kept:
                body = _cover(body, [match.span(number) for number in range(1, pattern.groups + 1)])
                break
        lines.append(body + line[len(line.rstrip("\n")) :])
    return masker.text("".join(lines)), masker.text(after)


def _cover(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + MASK + text[end:]
    return text


def _whole(change: Change, node: Node) -> str:
    if isinstance(node, File):
        return _content(change, node)
    if isinstance(node, Link):
        return f"symbolic link to {node.target}\n"
    if isinstance(node, Directory):
        return f"directory, {_owner(node.uid)}:{_group(node.gid)} {node.mode:04o}\n"
    return ""


def _content(change: Change, node: File) -> str:
    if change.secret:
        return HIDDEN
    try:
        return node.content.decode("utf-8")
    except UnicodeDecodeError:
        return f"(binary, {len(node.content)} bytes)\n"


def _attributes(node: File) -> str:
    return f"owner {_owner(node.uid)}\ngroup {_group(node.gid)}\nmode {node.mode:04o}\n"


def _owner(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return "(not there yet)" if uid < 0 else str(uid)


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return "(not there yet)" if gid < 0 else str(gid)

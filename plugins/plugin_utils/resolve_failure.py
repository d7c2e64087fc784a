# SPDX-License-Identifier: GPL-3.0-or-later
"""What an exception of the template engine means, without a word of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible.errors import AnsibleUndefinedVariable

_DEPTH = 40


class Outcome(NamedTuple):
    """What became of a value. `code` is empty when all went well; `detail` names variables, never values."""

    code: str
    value: Any = None
    detail: str = ""
    templated: bool = False
    # Words of a plugin that knows its own errors; they replace the general ones for the code.
    rule: str = ""
    fix: str = ""


LATER = Outcome("LATER")
UNSET = Outcome("UNSET")


def failure(error: BaseException, absent: list[str], names: Mapping[str, Any]) -> Outcome:
    """`absent` and `names` are what the template asks for: variables that do not exist, and all."""
    chain = list(_chain(error))
    kinds = {type(cause).__name__ for cause in chain}
    if "AnsibleValueOmittedError" in kinds:
        return UNSET
    told = next((known for known in map(_told, chain) if known), None)
    if told is not None:
        return told
    if "RecursionError" in kinds:
        return Outcome("RECURSIVE", detail=", ".join(sorted(names)))
    if any("Vault" in kind or "Decrypt" in kind for kind in kinds):
        return Outcome("VAULT")
    if isinstance(error, AnsibleUndefinedVariable) or "UndefinedError" in kinds:
        return Outcome("UNDEFINED", detail=", ".join(sorted(absent)))
    if kinds & {"TemplateSyntaxError", "TemplateAssertionError"}:
        return Outcome("SYNTAX")
    plugin = re.match(
        r"The (lookup|filter|test) plugin '([A-Za-z0-9_.]{1,80})'", str(getattr(error, "message", ""))
    )
    if plugin:
        kind, name = plugin.groups()
        return Outcome("LOOKUP" if kind == "lookup" else "TEMPLATE", detail=f"{kind} {name}")
    return Outcome("TEMPLATE")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, nearest first."""
    waiting = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _DEPTH:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (cause.__cause__, cause.__context__, getattr(cause, "orig_exc", None))
        waiting += [other for other in linked if isinstance(other, BaseException)]


def _told(error: BaseException) -> Outcome | None:
    """What a plugin of ours says about its own failure: texts that it vouches for."""
    code, rule, fix = (getattr(error, f"problem_{part}", None) for part in ("code", "rule", "fix"))
    if isinstance(code, str) and isinstance(rule, str) and isinstance(fix, str):
        return Outcome(code, rule=rule, fix=fix) if re.fullmatch(r"[A-Z][A-Z_]{1,39}", code) else None
    return None

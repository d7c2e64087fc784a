# SPDX-License-Identifier: GPL-3.0-or-later
"""What a list or dictionary may say as a whole, where its parts can contradict each other. No finding repeats a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable

from ansible_collections.techsaas.hardened.plugins.module_utils.content_security_policy import faults
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding

_TOKEN = re.compile(r"[A-Za-z0-9!#%&'*+.^_`|~-]{1,64}")
# The server's configuration takes no longer word.
_LONGEST = 4000
# Headers that the edge has options for, or that are its own or the protocol's to send: prefix or name, and what to do instead.
_NOT_HERE = {
    "access-control-": "use reverse_proxy_cors and the options beside it",
    "alt-svc": "remove it, the edge sends its own where it serves HTTP/3",
    "cache-control": "let the application send it; an answer without it gets no-store",
    "connection": "remove it, the protocol takes care of it",
    "content-encoding": "let the application send it",
    "content-length": "remove it, the protocol takes care of it",
    "content-type": "let the application send it",
    "date": "remove it, every answer has it",
    "keep-alive": "remove it, the protocol takes care of it",
    "retry-after": "let the application send it; the edge adds it to its own 429 and 503",
    "server": "remove it, every answer has it",
    "set-cookie": "let the application send it",
    "strict-transport-security": "use reverse_proxy_hsts_max_age, reverse_proxy_hsts_subdomains and reverse_proxy_hsts_preload",
    "transfer-encoding": "remove it, the protocol takes care of it",
    "upgrade": "remove it, the protocol takes care of it",
    "vary": "let the application send it",
    "x-accel-": "remove it, it is an order to the proxy",
    "x-request-id": "remove it, every answer has it",
}
# Headers that the edge sets, in the one spelling that replaces its own, and the values that browsers know of them.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("DENY", "SAMEORIGIN"),
    "Content-Security-Policy": (),
    "Referrer-Policy": (
        "no-referrer",
        "no-referrer-when-downgrade",
        "origin",
        "origin-when-cross-origin",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
    ),
    "Permissions-Policy": (),
    "Cross-Origin-Opener-Policy": (
        "same-origin",
        "same-origin-allow-popups",
        "noopener-allow-popups",
        "unsafe-none",
    ),
    "Cross-Origin-Embedder-Policy": ("require-corp", "credentialless", "unsafe-none"),
    "Cross-Origin-Resource-Policy": ("same-origin", "same-site", "cross-origin"),
}
_SPELLINGS = {name.lower(): name for name in HEADERS}
_POLICIES = ("content-security-policy", "content-security-policy-report-only")


def _headers(value: Mapping[Any, Any]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, (name, content) in enumerate(value.items(), start=1):
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            yield Finding(
                "HEADER_NAME",
                f"has a name that no header can have (number {index})",
                "use letters, digits and -, without a colon",
            )
            continue
        where, lower = f".{name}", name.lower()
        if lower in seen:
            yield Finding(
                "DUPLICATE", "is there twice, in different spellings", "leave out one of them", where
            )
        seen.add(lower)
        if not isinstance(content, str):
            yield Finding(
                "TYPE", "must be a text", "put it in quotes; an empty text removes the header", where
            )
        elif _not_here(lower) and (content or lower != "strict-transport-security"):
            yield Finding("RESERVED", "must not be set here", _not_here(lower), where)
        elif name != _SPELLINGS.get(lower, name):
            yield Finding(
                "SPELLING",
                "would be sent beside the edge's own, which is spelt differently",
                f"write {_SPELLINGS[lower]}",
                where,
            )
        elif content:
            for finding in _header_value(lower, content):
                yield finding._replace(where=where)


def _not_here(lower: str) -> str:
    return next(
        (
            fix
            for name, fix in _NOT_HERE.items()
            if lower == name or (name.endswith("-") and lower.startswith(name))
        ),
        "",
    )


def _header_value(lower: str, content: str) -> Iterator[Finding]:
    if not re.fullmatch(r"[\x20-\x7e]*", content):
        yield Finding(
            "HEADER_VALUE",
            "must be one line of plain ASCII: no line break, tab or other control character, nothing international",
            "write it in one line; YAML joins lines after >-",
        )
        return
    if content != content.strip():
        yield Finding("HEADER_VALUE", "must not begin or end with a space", "remove it")
    if "$" in content:
        yield Finding(
            "HEADER_VALUE", "must not have a $, which the server takes for a variable", "leave it out"
        )
    if len(content) > _LONGEST:
        yield Finding("HEADER_VALUE", f"must have at most {_LONGEST} characters", "make it shorter")
    if lower in _POLICIES:
        for rule, fix in faults(content):
            yield Finding("CSP", rule, fix)
    known = HEADERS.get(_SPELLINGS.get(lower, ""), ())
    # Referrer-Policy may have several, of which a browser takes the last that it knows.
    words = content.split(",") if lower == "referrer-policy" else [content]
    if known and not {word.strip().lower() for word in words} <= {word.lower() for word in known}:
        yield Finding("HEADER_VALUE", f"must be one of: {', '.join(known)}", "choose one of them")


def _parts(value: Sequence[Any]) -> Iterator[Finding]:
    """Parts of an API by their paths: the exact one, or else the longest beginning that fits, holds alone."""
    parts = [
        (index, part)
        for index, part in enumerate(value)
        if isinstance(part, Mapping) and isinstance(part.get("path"), str)
    ]
    seen: dict[tuple[str, bool], int] = {}
    for index, part in parts:
        path, exact = part["path"], part.get("exact") is True
        if re.search(r"//|/\.\.?(/|$)", path):
            yield Finding(
                "NO_SUCH_PATH",
                "can never be met: paths are compared after //, /./ and /../ are resolved",
                "write the path as it is then",
                f"[{index}].path",
            )
        if path.startswith("/hardened-"):
            yield Finding("RESERVED", "is a path of the edge's own", "remove it", f"[{index}].path")
        if (path, exact) in seen:
            yield Finding(
                "OVERLAP",
                f"has the path of number {seen[path, exact] + 1}, and one of the two would never be used",
                "put all that holds for a path into one entry",
                f"[{index}].path",
            )
            continue
        seen[path, exact] = index
        yield from _inside(index, part, parts)


def _inside(
    index: int, part: Mapping[str, Any], parts: Sequence[tuple[int, Mapping[str, Any]]]
) -> Iterator[Finding]:
    path, exact = part["path"], part.get("exact") is True
    around = [
        (len(other["path"]), number, other)
        for number, other in parts
        if number != index
        and other.get("exact") is not True
        and path.startswith(other["path"])
        and (exact or path != other["path"])
    ]
    if not around:
        return
    # The innermost is enough: it has been held against those around it.
    _length, number, outer = max(around, key=lambda found: found[:2])
    lost = [name for name in ("networks", "rate_limit") if outer.get(name) and not part.get(name)]
    if lost:
        yield Finding(
            "SHADOWED",
            f"lies within number {number + 1}, whose {' and '.join(lost)} would not hold here any more",
            "say here what is to hold here, or leave this entry out",
            f"[{index}]",
        )
    elif path == outer["path"] and all(
        part.get(name) == outer.get(name) for name in ("networks", "rate_limit", "rate_limit_burst")
    ):
        yield Finding(
            "OVERLAP", f"says what number {number + 1} says already", "leave out the exact one", f"[{index}]"
        )


WHOLE_KINDS: dict[str, Callable[[Any], Iterator[Finding]]] = {"headers": _headers, "parts": _parts}

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a Content-Security-Policy: a browser passes over what it does not understand, and says so to nobody."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_FETCH = (
    "child-src connect-src default-src fenced-frame-src font-src frame-src img-src manifest-src media-src object-src"
    " script-src script-src-attr script-src-elem style-src style-src-attr style-src-elem worker-src"
).split()
_SOURCES = frozenset(_FETCH) | {"base-uri", "form-action", "frame-ancestors"}
_NO_VALUES = frozenset(("upgrade-insecure-requests",))
_OTHERS = frozenset(("report-to", "report-uri", "require-trusted-types-for", "sandbox", "trusted-types"))
_KNOWN = _SOURCES | _NO_VALUES | _OTHERS
# Once in a draft or in some browser; none acts on them any more.
_DROPPED = frozenset(
    "block-all-mixed-content navigate-to plugin-types prefetch-src referrer reflected-xss require-sri-for".split()
)
# Sources of code may be allowed by more than their place.
_OF_CODE = frozenset(
    "inline-speculation-rules report-sha256 report-sha384 report-sha512 strict-dynamic trusted-types-eval"
    " unsafe-eval unsafe-hashes unsafe-inline wasm-unsafe-eval".split()
)
_KEYWORDS = _OF_CODE | {"none", "report-sample", "self"}
_CODE_DIRECTIVES = frozenset(
    name for name in _FETCH if name.startswith(("script-", "style-", "default-", "worker-"))
)
_SANDBOX = frozenset(
    "allow-downloads allow-forms allow-modals allow-orientation-lock allow-pointer-lock allow-popups"
    " allow-popups-to-escape-sandbox allow-presentation allow-same-origin allow-scripts"
    " allow-storage-access-by-user-activation allow-top-navigation allow-top-navigation-by-user-activation"
    " allow-top-navigation-to-custom-protocols".split()
)
_HASHES = {"sha256": 32, "sha384": 48, "sha512": 64}
_HASH = re.compile(r"'(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})'", re.I)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST = re.compile(
    rf"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:\*|(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?)(?::(\*|[0-9]+))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+=:@%/-]*)?"
)
_URI = re.compile(r"(?:https://[A-Za-z0-9.-]+(?::[0-9]+)?)?/[A-Za-z0-9._~!$&'()*+=:@%/?-]*")


class Fault(NamedTuple):
    """What is wrong, in words that repeat nothing but names of the standard."""

    rule: str
    fix: str


def faults(policy: str) -> list[Fault]:
    """Everything that is wrong with a policy, in its own order; the empty list means that browsers understand all of it."""
    return list(dict.fromkeys(_faults(policy)))


def _faults(policy: str) -> Iterator[Fault]:
    if "," in policy:
        yield Fault(
            "must not have a comma, which begins another policy", "part sources by spaces, directives by ;"
        )
        return
    directives = [words for words in (part.split() for part in policy.split(";")) if words]
    if not directives:
        yield Fault("must have a directive", "for example: default-src 'none'")
    seen: set[str] = set()
    for number, (written, *values) in enumerate(directives, start=1):
        name = written.lower()
        if name in seen:
            yield Fault(
                f"has {name} twice, and browsers pass over the second",
                "put all of its values into one directive",
            )
        if name in _KNOWN:
            seen.add(name)
            yield from _directive(name, values)
        elif name in _DROPPED:
            yield Fault(f"has {name}, which no browser acts on any more", "remove it")
        else:
            yield _unknown(name, number)


def _unknown(name: str, number: int) -> Fault:
    rule = f"has a directive that does not exist (number {number})"
    if name.strip("'") in _KEYWORDS or _SCHEME.fullmatch(name):
        return Fault(rule, "a source has to follow the name of its directive, before the next ;")
    close = difflib.get_close_matches(name, sorted(_KNOWN), n=1, cutoff=0.7)
    return Fault(
        rule, f"did you mean {close[0]}?" if close else f"directives are: {', '.join(sorted(_KNOWN))}"
    )


def _directive(name: str, values: Sequence[str]) -> Iterator[Fault]:
    swallowed = sorted({value.lower() for value in values} & (_KNOWN | _DROPPED))
    if swallowed and name not in ("report-to", "trusted-types"):
        yield Fault(
            f"has {swallowed[0]} among the values of {name}", f"write a ; between {name} and {swallowed[0]}"
        )
        return
    if name in _NO_VALUES and values:
        yield Fault(f"has values for {name}, which takes none", "remove them, or write the ; that is missing")
    elif name in _SOURCES:
        yield from _sources(name, values)
    elif name == "sandbox" and not _SANDBOX.issuperset(value.lower() for value in values):
        yield Fault("has an unknown permission in sandbox", f"permissions are: {', '.join(sorted(_SANDBOX))}")
    elif name == "report-to" and len(values) != 1:
        yield Fault("must name one group in report-to", "name one group of Reporting-Endpoints")
    elif name == "report-uri" and not (values and all(_URI.fullmatch(value) for value in values)):
        yield Fault("must have addresses in report-uri", "write https://HOST/PATH, or a path")
    elif name == "require-trusted-types-for" and [value.lower() for value in values] != ["'script'"]:
        yield Fault("must have 'script' in require-trusted-types-for", "write 'script', with its quotes")
    elif name == "trusted-types":
        yield from _trusted_types(values)


def _trusted_types(values: Sequence[str]) -> Iterator[Fault]:
    if "'none'" in values and len(values) > 1:
        yield Fault("has 'none' beside other values in trusted-types", "leave out one or the other")
    for value in values:
        if not re.fullmatch(r"\*|'none'|'allow-duplicates'|[A-Za-z0-9#=_/@.%-]+", value):
            yield Fault(
                "has a value that cannot be in trusted-types",
                "write names of policies, *, 'allow-duplicates' or 'none'",
            )
        elif value in ("none", "allow-duplicates"):
            yield Fault(f"has {value} without quotes in trusted-types", f"write '{value}'")


def _sources(name: str, values: Sequence[str]) -> Iterator[Fault]:
    if len(values) > 1 and "'none'" in [value.lower() for value in values]:
        yield Fault(
            f"has 'none' beside other sources in {name}, where browsers pass over it",
            "leave out one or the other",
        )
    for number, value in enumerate(values, start=1):
        yield from _source(name, value, number)


def _source(name: str, value: str, number: int) -> Iterator[Fault]:
    plain = value.strip("'\"`").lower()
    place = f"{name} (source {number})"
    quoted = len(value) > 1 and value[0] == value[-1] == "'"
    if plain in _KEYWORDS and not quoted:
        yield Fault(f"has {plain} without its single quotes in {name}", f"write '{plain}'")
    elif plain.startswith("nonce-"):
        yield Fault(
            f"has a nonce in {name}, which has to differ from answer to answer, and this header never does",
            "allow the script or style by its hash: 'sha256-...'",
        )
    elif plain.startswith(("sha256-", "sha384-", "sha512-", "sha1-", "md5-")):
        if not _good_hash(value):
            yield Fault(
                f"has a hash that is none in {place}",
                "write 'sha256-', the digest in base64, and ' at the end; sha384 and sha512 will do too",
            )
        elif name not in _CODE_DIRECTIVES:
            yield Fault(f"has a hash in {name}, where it allows nothing", "remove it")
    elif plain in _OF_CODE and name not in _CODE_DIRECTIVES:
        yield Fault(
            f"has '{plain}' in {name}, where it means nothing",
            "move it to script-src or style-src, or remove it",
        )
    elif quoted and plain not in _KEYWORDS:
        close = difflib.get_close_matches(plain, sorted(_KEYWORDS), n=1, cutoff=0.7)
        fix = f"did you mean '{close[0]}'?" if close else "only keywords and hashes stand in quotes"
        yield Fault(f"has a keyword that does not exist in {place}", fix)
    elif not quoted and not _good_place(value):
        yield Fault(
            f"has a source that is none in {place}",
            "write a scheme (https:), a host, or scheme://HOST:PORT/PATH",
        )


def _good_place(value: str) -> bool:
    if _SCHEME.fullmatch(value):
        return True
    match = _HOST.fullmatch(value)
    return match is not None and (match.group(1) in (None, "*") or 0 < int(match.group(1)) < 65536)


def _good_hash(value: str) -> bool:
    match = _HASH.fullmatch(value)
    if match is None:
        return False
    text = match.group(2).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
    return len(digest) == _HASHES[match.group(1).lower()]

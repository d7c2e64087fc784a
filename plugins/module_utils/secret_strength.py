# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a secret is as good as one that a generator made. Findings never repeat the value or its length.

Each rule was chosen so that none of 10^5 outputs of the usual generators (openssl rand, token_urlsafe, pwgen -s)
is refused; docs/validation.md names the rules for people.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Mapping
from typing import Callable, NamedTuple

from ansible_collections.techsaas.hardened.plugins.module_utils.key_runs import is_sequence

MIN_LENGTH = 32
_BITS = 128
_SHARED = 12
_REPEAT = 8
_FIX = "generate it: openssl rand -base64 48"


class Finding(NamedTuple):
    """One broken rule: a code for machines, the rule and the fix for people, and where inside the value."""

    code: str
    rule: str
    fix: str
    where: str = ""


_MARKERS = (
    "changeme changethis changeit replaceme replacethis replacewith pleasechange tobechanged tobereplaced insertyour "
    "putyour yourkey yoursecret yourpassword yourtoken yourapikey entersecret placeholder dummykey dummysecret "
    "example sample12 notasecret notsecure insecure default1 defaultkey defaultpassword testsecret testkey "
    "testpassword testing mysecret mypassword secretkey supersecret topsecret verysecret secret password passw0rd "
    "passphrase adminadmin administrator letmein welcome trustno1 iloveyou qwertz qwerty azerty monkey dragon "
    "deadbeef cafebabe feedface badc0ffee xxxxxx foobar lorem ipsum development production staging django "
    "todoreplace fixme hackme hunter2 undefined"
).split()
_LEET = str.maketrans(
    {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "!": "i"}
)
_SEPARATORS = re.compile(r"[^a-z0-9@$!]")
_PLAIN = re.compile("|".join(marker for marker in _MARKERS if len(marker) >= 6))
# Shorter words, once folded, turn up in genuine secrets by chance.
_FOLDED = re.compile("|".join(sorted({m.translate(_LEET) for m in _MARKERS if len(m) >= 8})))

_REFERENCE = re.compile(
    r"\{\{.*\}\}|\{%.*%\}|\$\{.*\}|\$\(.*\)|<.{4,}>|\$ANSIBLE_VAULT.*|ENC\[.*|vault:.*|op://.*|arn:aws.*|-----BEGIN.*"
    r"|[a-z][a-z0-9+.-]*://.*|/(?:run|etc|var|home|root|opt|tmp)/.*|none|null|nil|undefined|\{\".*\}",
    re.DOTALL | re.IGNORECASE,
)
# Only with hyphens: without them one genuine hexadecimal secret in sixty looks like a UUID.
_UUID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE32 = re.compile(r"[A-Z2-7]+=*")


def findings(value: str, min_length: int = MIN_LENGTH) -> list[Finding]:
    """Every rule that `value` breaks."""
    found = []
    if len(value) < min_length:
        found.append(Finding("TOO_SHORT", f"must have at least {min_length} characters", _FIX))
    found += [Finding(code, rule, fix) for code, rule, fix, breaks in _RULES if value and breaks(value)]
    return found


def reused(secrets: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    """Pairs of names whose values are equal, or derived from each other; a name may have many values."""
    owners: dict[str, tuple[str, str]] = {}
    pairs: dict[tuple[str, str], None] = {}
    for name, values in secrets.items():
        for value in dict.fromkeys(values):
            folded = value.casefold()
            for form in (folded, folded[::-1]):
                for start in range(max(1, len(form) - _SHARED + 1)):
                    part = form[start : start + _SHARED]
                    if len(part) < _SHARED and len(part) < len(form):
                        continue
                    owner = (
                        owners.setdefault(part, (name, value))
                        if form is folded
                        else owners.get(part, (name, value))
                    )
                    if owner[1] != value or owner[0] != name:
                        pairs[(owner[0], name)] = None
    return list(pairs)


def _classes(value: str) -> int:
    """Size of the alphabet that the value was drawn from, at most."""
    body = value.rstrip("=")
    if body.isdigit():
        return 10
    if _HEX.fullmatch(body):
        return 16
    symbols = {char for char in body if not char.isalnum()}
    size = (
        26 * bool(re.search("[a-z]", body))
        + 26 * bool(re.search("[A-Z]", body))
        + 10 * bool(re.search("[0-9]", body))
    )
    if symbols:
        size += (
            2
            if symbols <= set("+/") or symbols <= set("-_")
            else 14
            if symbols <= set("!@#$%^&*()-_=+")
            else 32
        )
    return max(size, 2)


def _small_capacity(value: str) -> bool:
    return len(value.rstrip("=")) * math.log2(_classes(value)) < _BITS


def _is_placeholder(value: str) -> bool:
    folded = _SEPARATORS.sub("", value.casefold())
    return bool(_PLAIN.search(folded) or _FOLDED.search(folded.translate(_LEET)))


def _unlike_generators(value: str) -> bool:
    body = value.rstrip("=")
    if _BASE32.fullmatch(value) and re.search("[2-7]", value):
        return False
    has = {
        "upper": bool(re.search("[A-Z]", body)),
        "lower": bool(re.search("[a-z]", body)),
        "digit": bool(re.search("[0-9]", body)),
    }
    symbols = {char for char in body if char in string.punctuation}
    known = (
        bool(_HEX.fullmatch(body)) or (has["upper"] and has["lower"]) or (has["digit"] and len(symbols) >= 2)
    )
    return not known or sum(has.values()) < 2


def _repeats(value: str) -> bool:
    folded = value.casefold()
    seen: set[str] = set()
    for start in range(len(folded) - _REPEAT + 1):
        part = folded[start : start + _REPEAT]
        # The mirrored part must lie wholly before this one.
        if part in seen or part[::-1] in folded[:start]:
            return True
        seen.add(part)
    return False


def _few_characters(value: str) -> bool:
    length = len(value)
    entropy = -sum(n / length * math.log2(n / length) for n in (value.count(char) for char in set(value)))
    return entropy < 0.66 * math.log2(min(length, _classes(value)))


_Rule = tuple[str, str, str, Callable[[str], bool]]
_RULES: tuple[_Rule, ...] = (
    (
        "WHITESPACE",
        "must not contain spaces, line breaks, or control characters",
        "remove them; 'openssl rand -base64' breaks lines after 64 characters, so ask it for at most 48 bytes",
        lambda value: any(char.isspace() or ord(char) < 32 or ord(char) == 127 for char in value),
    ),
    ("NON_ASCII", "must be made of ASCII characters", _FIX, lambda value: not value.isascii()),
    ("CAPACITY", f"must be able to hold {_BITS} bits", _FIX, _small_capacity),
    (
        "REFERENCE",
        "must be the secret itself, not a template, path, address, or other pointer to it",
        "resolve the reference, or generate a secret: openssl rand -base64 48",
        lambda value: bool(_REFERENCE.fullmatch(value.strip())),
    ),
    ("PLACEHOLDER", "must not contain a word that stands for a secret in examples", _FIX, _is_placeholder),
    (
        "UUID",
        "must not be a UUID: it identifies, it is not made to be unguessable",
        _FIX,
        lambda v: bool(_UUID.fullmatch(v)),
    ),
    (
        "FORMAT",
        "must look like the output of a generator (mixed case and digits, or hexadecimal)",
        _FIX,
        _unlike_generators,
    ),
    ("REPEAT", "must not repeat or mirror a part of itself", _FIX, _repeats),
    ("SEQUENCE", "must not follow the alphabet, the digits, or the keyboard", _FIX, is_sequence),
    ("FEW_CHARACTERS", "must not be made of few different characters", _FIX, _few_characters),
)

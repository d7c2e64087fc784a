# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a secret is as good as one that a generator made. Findings never repeat the value or its length.

Each rule was chosen so that none of 10^5 outputs of the usual generators (openssl rand, token_urlsafe, pwgen -s)
is refused; docs/secrets_strength.md names the rules for people and says what was measured.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Callable, NamedTuple

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules import (
    alphabet,
    encodings,
    markers,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.human_text import is_human_text
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.key_codes import is_played
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.key_runs import is_sequence
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rules.repeats import repeats, reused

__all__ = ["MIN_LENGTH", "Finding", "findings", "reused"]

MIN_LENGTH = 32
_WHITESPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_FIX = "generate it: openssl rand -base64 48"
_DECODED_FIX = "use a secret that was generated, without encoding something yourself: openssl rand -base64 48"


class Finding(NamedTuple):
    """One broken rule: a code for machines, the rule and the fix for people, and where inside the value."""

    code: str
    rule: str
    fix: str
    where: str = ""


def findings(value: str, min_length: int = MIN_LENGTH, context: Iterable[str] = ()) -> list[Finding]:
    """Every rule that `value` breaks. `context`: names that nobody's secret may contain."""
    found = []
    if len(value) < min_length:
        found.append(Finding("TOO_SHORT", f"must have at least {min_length} characters", _FIX))
    found += _broken(value)
    if markers.contains_context(value, context):
        rule = "must not contain the name of its host, service, variable, or environment"
        found.append(Finding("CONTEXT", rule, _FIX))
    return found


@functools.lru_cache(maxsize=20_000)
def _broken(value: str) -> tuple[Finding, ...]:
    return tuple(Finding(code, rule, fix) for code, rule, fix, breaks in _RULES if value and breaks(value))


def _has_whitespace(value: str) -> bool:
    return _WHITESPACE.search(value) is not None


_Rule = tuple[str, str, str, Callable[[str], bool]]
_RULES: tuple[_Rule, ...] = (
    (
        "WHITESPACE",
        "must not contain spaces, line breaks, or control characters",
        "remove them; 'openssl rand -base64' breaks lines after 64 characters, so ask it for at most 48 bytes",
        _has_whitespace,
    ),
    ("NON_ASCII", "must be made of ASCII characters", _FIX, lambda value: not value.isascii()),
    ("CAPACITY", f"must be able to hold {alphabet.BITS} bits", _FIX, alphabet.small_capacity),
    (
        "REFERENCE",
        "must be the secret itself, not a template, path, address, or other pointer to it",
        "resolve the reference, or generate a secret: openssl rand -base64 48",
        markers.is_reference,
    ),
    (
        "PLACEHOLDER",
        "must not contain a word that stands for a secret in examples",
        _FIX,
        markers.is_placeholder,
    ),
    ("UUID", "must not be a UUID: it identifies, it is not made to be unguessable", _FIX, markers.is_uuid),
    (
        "FORMAT",
        "must look like the output of a generator (mixed case and digits, hexadecimal, or base32)",
        _FIX,
        alphabet.unlike_generators,
    ),
    ("REPEAT", "must not repeat or mirror a part of itself", _FIX, repeats),
    (
        "SEQUENCE",
        "must not follow the alphabet, the digits, or the keyboard",
        _FIX,
        lambda v: is_sequence(v) or is_played(v),
    ),
    ("FEW_CHARACTERS", "must not be made of few different characters", _FIX, alphabet.few_characters),
    (
        "HUMAN_TEXT",
        "must not be made of words, names, dates, or numbers that a person typed",
        _FIX,
        is_human_text,
    ),
    (
        "ENCODED_TEXT",
        "must not be a text in hexadecimal, base32, or base64",
        _DECODED_FIX,
        encodings.encoded_text,
    ),
    (
        "ENCODED_PATTERN",
        "must not be a pattern of bytes in hexadecimal, base32, or base64",
        _DECODED_FIX,
        encodings.encoded_pattern,
    ),
    (
        "KNOWN_DIGEST",
        "must not be a digest (MD5, SHA-1, SHA-256, SHA-512) of a common password",
        _DECODED_FIX,
        encodings.known_digest,
    ),
)

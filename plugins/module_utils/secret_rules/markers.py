# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that stand for a secret in examples, pointers to a secret, and names that it must not contain."""

from __future__ import annotations

import re
from collections.abc import Iterable

MARKERS = (
    "changeme changethis changeit replaceme replacethis replacewith pleasechange tobechanged tobereplaced insertyour "
    "putyour yourkey yoursecret yourpassword yourtoken yourapikey entersecret placeholder dummykey dummysecret "
    "fakekey fakesecret samplekey samplesecret demosecret redacted "
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
# Shorter words turn up in genuine secrets by chance, in leet even those of 7 letters.
_PLAIN = re.compile("|".join(marker for marker in MARKERS if len(marker) >= 7))
# Nor those of hexadecimal digits: folded, one genuine hexadecimal secret in half a million has one.
_FOLDED = re.compile(
    "|".join(
        sorted({m.translate(_LEET) for m in MARKERS if len(m) >= 8 and not re.fullmatch("[0-9a-f]*", m)})
    )
)
_CONTEXT_LENGTH = 6

_REFERENCE = re.compile(
    r"\{\{.*\}\}|\{%.*%\}|\$\{.*\}|\$\(.*\)|%\(.*\)s|<[\w .:/-]{4,}>|\$ANSIBLE_VAULT.*|ENC\[.*|op://.*|arn:aws.*"
    r"|(?:vault|env|file|ssm|kms|secret|secretref):.*|-----BEGIN.*|[a-z][a-z0-9+.-]*://.*"
    r"|/(?:run|etc|var|home|root|opt|tmp)/.*|none|null|nil|undefined|\{\".*\}",
    re.DOTALL | re.IGNORECASE,
)
# Only with hyphens: without them one genuine hexadecimal secret in sixty looks like a UUID.
_UUID = re.compile(r"(?:urn:uuid:)?\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.IGNORECASE)


def is_placeholder(value: str) -> bool:
    folded = _fold(value)
    return bool(_PLAIN.search(folded) or _FOLDED.search(folded.translate(_LEET)))


def is_reference(value: str) -> bool:
    return bool(_REFERENCE.fullmatch(value.strip()))


def is_uuid(value: str) -> bool:
    return bool(_UUID.fullmatch(value))


def contains_context(value: str, names: Iterable[str]) -> bool:
    """Whether one of the names is in the value, however it is written there."""
    folded = _fold(value)
    return any(len(name) >= _CONTEXT_LENGTH and name in folded for name in map(_fold, names))


def _fold(value: str) -> str:
    return _SEPARATORS.sub("", value.casefold())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that must never be shown: told to Ansible's own masker where there is one, and to one of this process."""

from __future__ import annotations

import base64
from typing import Callable

from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.mask import (
    MASK,
    SHORTEST,
    other_spellings,
)

try:
    from ansible.module_utils.secrets import register_secret as _core
except ImportError:  # before ansible-core 2.22
    _core = None

_tell_core: Callable[[str], str] | None = _core
_known: dict[str, None] = {}


def register(value: str) -> str:
    """The value itself, once it and its base64 form are known to whatever masks output."""
    if isinstance(value, str) and len(value) >= SHORTEST and value not in _known:
        for form in (value, _base64(value)):
            if _tell_core is not None:
                _tell_core(form)
        _known.update(dict.fromkeys((value, _base64(value).rstrip("="), *other_spellings(value))))
    return value


def mask(text: str) -> str:
    """The text without any value that this process has registered, however it is written in there."""
    # The longest first, so that a value is not hidden by halves because another begins like it.
    for form in sorted(_known, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def _base64(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")

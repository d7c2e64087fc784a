# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a secret is as good as one that a generator made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import MIN_LENGTH
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_judgement import judge


def strong_secret(value: Any, min_length: Any = MIN_LENGTH, context: Any = ()) -> bool:
    """See strong_secret.yml."""
    return not judge("strong_secret", value, min_length, context)


class TestModule:
    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"strong_secret": strong_secret}

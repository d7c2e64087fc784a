# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filter secret_findings and the test strong_secret share: strict about their arguments, silent about the secret."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import Finding, findings


def judge(plugin: str, value: Any, min_length: Any, context: Any) -> list[Finding]:
    if not isinstance(value, str):
        raise AnsibleFilterError(f"{plugin}: the secret must be a text")
    if not isinstance(context, (list, tuple)) or not all(isinstance(name, str) for name in context):
        raise AnsibleFilterError(f"{plugin}: context must be a list of texts")
    # What comes by -e NAME=VALUE is text.
    if isinstance(min_length, bool) or not str(min_length).isdecimal():
        raise AnsibleFilterError(f"{plugin}: min_length must be a whole number")
    return findings(value, int(min_length), context)

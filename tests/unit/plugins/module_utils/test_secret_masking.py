# SPDX-License-Identifier: GPL-3.0-or-later
"""What was registered is found in a text however it is written there."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from urllib.parse import quote

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.mask import MASK


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


@pytest.mark.parametrize(
    "form", [str, _base64, lambda v: _base64(v).rstrip("="), quote, lambda v: json.dumps(v)[1:-1]]
)
def test_each_form_is_masked(form: Callable[[str], str]) -> None:
    value = secrets.token_hex(8) + 'ä"\n/+'
    assert secret_masking.register(value) == value
    masked = secret_masking.mask(f"before {form(value)} after")
    assert masked == f"before {MASK} after"


def test_longer_value_is_not_hidden_by_halves() -> None:
    short = secrets.token_hex(8)
    longer = short + secrets.token_hex(8)
    secret_masking.register(short)
    secret_masking.register(longer)
    assert secret_masking.mask(longer) == MASK


def test_short_values_do_not_garble_messages() -> None:
    secret_masking.register("the")
    assert secret_masking.mask("the message") == "the message"


def test_the_core_is_told_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    # ansible-core has its masker from 2.22 on only.
    monkeypatch.setattr(secret_masking, "_tell_core", told.append)
    value = secrets.token_hex(16)
    secret_masking.register(value)
    secret_masking.register(value)
    assert told == [value, _base64(value)]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak secrets are named by their weakness; genuine ones pass."""

from __future__ import annotations

import base64
import os
import secrets
import string
from collections.abc import Callable

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings, reused

_ALPHABET = string.ascii_letters + string.digits
_GENERATORS: dict[str, Callable[[], str]] = {
    "openssl rand -base64 48": lambda: base64.b64encode(os.urandom(48)).decode(),
    "openssl rand -base64 24": lambda: base64.b64encode(os.urandom(24)).decode(),
    "openssl rand -hex 32": lambda: os.urandom(32).hex(),
    "openssl rand -hex 16": lambda: os.urandom(16).hex(),
    "token_urlsafe(48)": lambda: secrets.token_urlsafe(48),
    "pwgen -s 32": lambda: "".join(secrets.choice(_ALPHABET) for _place in range(32)),
}
_STRONG = "q7fZ0vT2mK9xRw4LbY8sHn3DcJ6gPu5E"  # pragma: allowlist secret


@pytest.mark.parametrize("name", _GENERATORS)
def test_genuine_secrets_pass(name: str) -> None:
    make = _GENERATORS[name]
    assert [codes for codes in (_codes(make()) for _attempt in range(1500)) if codes] == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("Ab3dEf6hIj9k", "TOO_SHORT"),
        (_STRONG + "\n", "WHITESPACE"),
        (_STRONG[:16] + " " + _STRONG[16:], "WHITESPACE"),
        ("ü" + _STRONG, "NON_ASCII"),
        ("83" * 18, "CAPACITY"),
        ("{{ lookup('env', 'SECRET_KEY_OF_THE_API') }}", "REFERENCE"),
        ("${SECRET_KEY_FROM_THE_ENVIRONMENT_9}", "REFERENCE"),
        ("/run/secrets/secret_key_of_the_service", "REFERENCE"),
        ("ChangeMe-" + _STRONG, "PLACEHOLDER"),
        ("P4ssw0rd" + _STRONG, "PLACEHOLDER"),
        ("my-s3cr3t-k3y" + _STRONG, "PLACEHOLDER"),
        ("6fa459ea-ee8a-3ca4-894e-db77e160355e", "UUID"),
        ("mkqzvtwyrbnhgsdlfpxcjmkqzvtwyrbn", "FORMAT"),
        (_STRONG[:16] * 2, "REPEAT"),
        (_STRONG[:16] + _STRONG[:16][::-1], "REPEAT"),
        ("abcdefghIJKLMNOP" + _STRONG[:16], "SEQUENCE"),
        ("QwErTyUiOpAsDfGhJkLzXcVbNm123456", "SEQUENCE"),  # pragma: allowlist secret
        ("aB1" * 11, "FEW_CHARACTERS"),
    ],
)
def test_weakness_is_named(value: str, code: str) -> None:
    assert code in _codes(value)


def test_findings_never_show_the_value_or_its_length() -> None:
    value = "hunter2-ChangeMe-zebra"
    text = repr(findings(value))
    assert "zebra" not in text and str(len(value)) not in text


def test_a_longer_minimum_is_respected() -> None:
    assert _codes(_STRONG) == []
    assert [finding.code for finding in findings(_STRONG, 48)] == ["TOO_SHORT"]


@pytest.mark.parametrize(
    "other",
    [_STRONG, _STRONG.swapcase(), _STRONG[::-1], "x9" + _STRONG[4:18] + "Q2"],
    ids=["equal", "case", "reversed", "part"],
)
def test_reuse_between_names_is_seen(other: str) -> None:
    assert reused({"app_key": [_STRONG], "db_key": [other]}) == [("app_key", "db_key")]


def test_unrelated_secrets_are_not_reused() -> None:
    assert reused({f"key_{n}": [secrets.token_urlsafe(48)] for n in range(200)}) == []


def test_one_variable_with_related_values_on_two_hosts_is_reuse() -> None:
    assert reused({"app_key": [_STRONG + "1", _STRONG + "2"]}) == [("app_key", "app_key")]


def _codes(value: str) -> list[str]:
    return [finding.code for finding in findings(value)]

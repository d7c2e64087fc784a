# SPDX-License-Identifier: GPL-3.0-or-later
"""Weak secrets are named by their weakness; genuine ones pass."""

from __future__ import annotations

import base64
import hashlib
import secrets

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings, reused

_STRONG = "q7fZ0vT2mK9xRw4LbY8sHn3DcJ6gPu5E"  # pragma: allowlist secret
_PHRASE = b"yellow garden beside the river"


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
        ("urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e", "UUID"),
        ("%(secret_key_from_the_configuration)s", "REFERENCE"),
        ("file:/srv/secrets/secret_key_of_the_service", "REFERENCE"),
        ("mkqzvtwyrbnhgsdlfpxcjmkqzvtwyrbn", "FORMAT"),
        ("5a:6f:9b:f1:f4:27,dd:9d:ff:e3:0d:f1", "FORMAT"),
        (_STRONG[:16] * 2, "REPEAT"),
        (_STRONG[:16] + _STRONG[:16][::-1], "REPEAT"),
        ("abcdefghIJKLMNOP" + _STRONG[:16], "SEQUENCE"),
        ("QwErTyUiOpAsDfGhJkLzXcVbNm123456", "SEQUENCE"),  # pragma: allowlist secret
        ("4rfv#EDC^YHN%TGB2wsx!QAZ7ujm5tgb", "SEQUENCE"),
        ("SjukWLpLQHJHFFROQDGRhhuJLglEQdsJgFFl", "SEQUENCE"),
        ("QpWoEiRuTyAlSkDjFhGzMxNcB1029384", "SEQUENCE"),  # pragma: allowlist secret
        ("aB1" * 11, "FEW_CHARACTERS"),
        ("SilverBottleJenniferAustralia1997", "HUMAN_TEXT"),
        ("Schmetterling7Apfelkuchen_Bahnhof", "HUMAN_TEXT"),
        ("P4ym3n7M4573rC0rr3c7C0mpu73rR3l345", "HUMAN_TEXT"),
        ("mountAinRivErcoffEeyelLowwinDowgArden", "HUMAN_TEXT"),
        ("CopperLanternMeadowWalnutHarbor" + _STRONG[:12], "HUMAN_TEXT"),
        ("retawtiurfnedragwolleYniatnuoMreviR7", "HUMAN_TEXT"),
        ("Bllng1TrtlPrtZbr1MsmLddr1Jngl_Trtl", "HUMAN_TEXT"),
        ("f00dfacebeefcafebabeab1ec0dedead", "HUMAN_TEXT"),
        (base64.b64encode(_PHRASE).decode(), "ENCODED_TEXT"),
        (base64.b64encode(_PHRASE).decode().rstrip("="), "ENCODED_TEXT"),
        (base64.urlsafe_b64encode(_PHRASE + b"?~?>").decode(), "ENCODED_TEXT"),
        (base64.b32encode(_PHRASE).decode(), "ENCODED_TEXT"),
        (_PHRASE.hex(), "ENCODED_TEXT"),
        (_PHRASE.hex().upper(), "ENCODED_TEXT"),
        (bytes(range(3, 35)).hex(), "ENCODED_PATTERN"),
        (base64.b64encode(bytes(range(250, 10, -5))).decode(), "ENCODED_PATTERN"),
        (base64.b64encode(b"\x93\xf1\x07\xc8\x5e" * 7).decode(), "ENCODED_PATTERN"),
        (hashlib.md5(b"letmein", usedforsecurity=False).hexdigest(), "KNOWN_DIGEST"),
        (hashlib.sha256(b"Michelle123").hexdigest().upper(), "KNOWN_DIGEST"),
        (hashlib.sha256(b"Password\n").hexdigest(), "KNOWN_DIGEST"),
        (base64.b64encode(hashlib.sha512(b"dragon").digest()).decode(), "KNOWN_DIGEST"),
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


@pytest.mark.parametrize("name", ["web-shop", "Web_Shop", "WEB.SHOP", "webshop"])
def test_a_name_that_the_secret_must_not_contain(name: str) -> None:
    value = _STRONG[:9] + "wEb-Shop" + _STRONG[9:]
    assert _codes(value) == []
    assert [finding.code for finding in findings(value, context=["other-name", name])] == ["CONTEXT"]


def test_short_names_turn_up_by_chance_and_are_passed_over() -> None:
    assert findings(_STRONG, context=[_STRONG[:5], "-" * 9, ""]) == []


@pytest.mark.parametrize("size", [64, 96, 192, 384, 1500])
def test_long_genuine_secrets_pass(size: int) -> None:
    raw = secrets.token_bytes(size)
    assert [_codes(value) for value in (base64.b64encode(raw).decode(), raw.hex()) if _codes(value)] == []


def test_base32_without_a_digit_is_genuine() -> None:
    # One value in 800 has none.
    assert _codes("QVXKJZNWRTYCMHBGLDFPSAEUIOQZKXJVWN") == []  # pragma: allowlist secret


@pytest.mark.parametrize(
    "value",
    [
        "J5R3YGJ7SXVOQEVJIDFNCZRATHI5ZVB5",  # base32 that as base64 were text  # pragma: allowlist secret
        "624d343c2650467d2c2a51537a6b2756",  # sixteen bytes that are text, but no words  # pragma: allowlist secret
    ],
)
def test_genuine_values_that_decode_to_text_by_chance_pass(value: str) -> None:
    assert _codes(value) == []


@pytest.mark.parametrize(
    "other",
    [_STRONG, _STRONG.swapcase(), _STRONG[::-1], "x9" + _STRONG[4:18] + "Q2"],
    ids=["equal", "case", "reversed", "part"],
)
def test_reuse_between_names_is_seen(other: str) -> None:
    assert reused({"app_key": [_STRONG], "db_key": [other]}) == [("app_key", "db_key")]


def test_unrelated_secrets_are_not_reused() -> None:
    assert reused({f"key_{n}": [secrets.token_urlsafe(48)] for n in range(200)}) == []


def test_one_derived_secret_among_many_is_found() -> None:
    many = {f"key_{n}": [secrets.token_urlsafe(48)] for n in range(2000)}
    derived = many["key_7"][0].swapcase()[::-1]
    assert reused({**many, "copy": [derived]}) == [("key_7", "copy")]


def test_one_variable_with_related_values_on_two_hosts_is_reuse() -> None:
    assert reused({"app_key": [_STRONG + "1", _STRONG + "2"]}) == [("app_key", "app_key")]


def _codes(value: str) -> list[str]:
    return [finding.code for finding in findings(value)]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The verifier against the RFC's own numbers."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.filter.scram_verifier import scram_verifier

SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="  # RFC 7677, section 3, like the password "pencil"


def test_server_key_signs_as_in_the_rfc() -> None:
    import base64
    import hashlib
    import hmac

    server_key = base64.b64decode(scram_verifier("pencil", SALT).rpartition(":")[2])
    message = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        f"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s={SALT},i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = base64.b64encode(hmac.new(server_key, message.encode(), hashlib.sha256).digest()).decode()
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="  # pragma: allowlist secret


def test_form_is_postgresql_s() -> None:
    scheme, parameters, keys = scram_verifier("pencil", SALT).split("$")
    assert (scheme, parameters) == ("SCRAM-SHA-256", f"4096:{SALT}")
    assert [len(key) for key in keys.split(":")] == [44, 44]


def test_each_verifier_has_a_salt_of_its_own() -> None:
    assert scram_verifier("pencil") != scram_verifier("pencil")


def test_given_salt_and_iterations_make_it_comparable() -> None:
    made = scram_verifier("pencil", iterations=5000)
    iterations, salt = made.split("$")[1].split(":")
    assert scram_verifier("pencil", salt, int(iterations)) == made
    assert scram_verifier("pencils", salt, int(iterations)) != made


@pytest.mark.parametrize(
    ("password", "salt"), [("", None), ("pass\nword", None), ("pässword", None), ("pencil", "no base64!")]
)
def test_refuses_without_repeating_the_password(password: str, salt: str | None) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        scram_verifier(password, salt)
    assert not password or password not in str(caught.value)

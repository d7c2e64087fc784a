# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that have to be issued anew, and why; those that are fine."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import certificates
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("app-1", "app.lab.internal", "192.0.2.1", "2001:db8::1")
NOT_OURS = "was not issued by the environment's authority"


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    name: str = "lab certificate authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=key)

    def issue(
        self,
        names: Sequence[str] | None = NAMES,
        days: float = 90.0,
        issuer: str = "",
        subject: str = "app-1",
        public: Any = None,
        days_ago: int = 400,
    ) -> str:
        now = datetime.datetime.now(datetime.UTC)
        common_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or self.name)])
        public = public or (self.key if subject == self.name else key()).public_key()
        builder = x509.CertificateBuilder().subject_name(common_name).issuer_name(by).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=days_ago))
        # Half a minute for a slow test.
        builder = builder.not_valid_after(now + datetime.timedelta(days=days, seconds=30))
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([general(n) for n in names]), False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    @property
    def certificate(self) -> str:
        return self.issue(None, subject=self.name)


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


OURS = Authority()
CA = OURS.certificate


def problems(
    certificate: str, authority: str = CA, names: Sequence[str] = NAMES, days: int = 30
) -> list[str]:
    return certificates.problems(certificate, authority, names, days)


def test_a_fine_one_has_none() -> None:
    assert problems(OURS.issue()) == []


def test_more_names_than_asked_for_are_fine() -> None:
    assert problems(OURS.issue([*NAMES, "old.lab.internal"])) == []


def test_none_is_there() -> None:
    assert problems("") == ["is not there yet"]


@pytest.mark.parametrize(
    "text",
    [
        "broken",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----",
        "\udc80",
    ],
)
def test_something_else_is_there(text: str) -> None:
    assert problems(text) == ["is not a PEM certificate"]


def test_there_is_no_authority_yet() -> None:
    assert problems(OURS.issue(), authority="") == [NOT_OURS]


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(Authority().issue(), id="same-name-other-key"),
        pytest.param(Authority("another").issue(), id="other-name"),
        pytest.param(OURS.issue(issuer="another"), id="same-key-other-name"),
    ],
)
def test_it_is_by_another_authority(foreign: str) -> None:
    assert problems(foreign) == [NOT_OURS]


def test_a_damaged_authority_is_the_operator_s_to_mend() -> None:
    with pytest.raises(ValueError, match=r"^the authority's own certificate is not a PEM certificate$"):
        problems(OURS.issue(), authority="broken")


@pytest.mark.parametrize(
    ("left", "days", "found"),
    [
        (30.0, 30, []),
        (29.9, 30, ["expires in 29 days"]),
        (0.5, 30, ["expires in 0 days"]),
        (0.5, 0, []),
        (-0.5, 0, ["has expired"]),
        (-0.5, -10, ["has expired"]),
        (-200.0, 30, ["has expired"]),
    ],
)
def test_time_runs_out(left: float, days: int, found: list[str]) -> None:
    assert problems(OURS.issue(days=left), days=days) == found


@pytest.mark.parametrize(
    ("has", "found"),
    [
        (NAMES[1:], ["is not for app-1"]),
        (NAMES[:2], ["is not for 192.0.2.1, 2001:db8::1"]),
        (None, ["is not for 192.0.2.1, 2001:db8::1, app-1, app.lab.internal"]),
    ],
)
def test_names_are_missing(has: Sequence[str] | None, found: list[str]) -> None:
    assert problems(OURS.issue(has)) == found


def test_an_address_is_the_same_however_it_is_written() -> None:
    assert problems(OURS.issue(["2001:db8::1"]), names=["2001:0DB8:0:0:0:0:0:1"]) == []


def test_a_name_is_the_same_in_capitals() -> None:
    assert problems(OURS.issue(["App-1"]), names=["aPP-1"]) == []


def test_an_address_as_a_name_is_not_an_address() -> None:
    wrong = OURS.issue(["app-1"])
    assert problems(wrong, names=["app-1", "192.0.2.1"]) == ["is not for 192.0.2.1"]


def test_all_is_said_at_once() -> None:
    found = problems(Authority().issue(["app-1"], days=3), names=["app-1", "more"])
    assert found == [NOT_OURS, "expires in 3 days", "is not for more"]


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
dns_names = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z][a-z0-9]{1,10}){0,3}", fullmatch=True)


@given(st.lists(st.one_of(addresses.map(lambda a: ("IP", a)), dns_names.map(lambda n: ("DNS", n)))))
def test_names_are_told_from_addresses(pairs: list[tuple[str, str]]) -> None:
    names = certificates.subject_alt_names([name for _kind, name in pairs])
    assert names == [f"{kind}:{name}" for kind, name in pairs]


DOMAIN = "api.example.com"


def pem(private: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> str:
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()


@pytest.mark.parametrize("names", [[DOMAIN], ["*.example.com"], ["www.example.com", DOMAIN.upper()]])
def test_a_certificate_of_somebody_elses_serves_its_domain(names: list[str]) -> None:
    mine, root = key(), Authority("root")
    middle = Authority("middle")
    link = root.issue(None, subject="middle", public=middle.key.public_key())
    leaf = middle.issue(names, public=mine.public_key())
    assert certificates.faults(leaf + link, pem(mine), DOMAIN) == []
    assert certificates.faults(leaf, pem(mine), DOMAIN) == []
    assert certificates.faults(leaf + root.certificate, pem(mine), DOMAIN) == ["chain"]


def test_each_fault_is_told() -> None:
    mine, authority = key(), Authority()
    good = authority.issue([DOMAIN], public=mine.public_key())
    assert certificates.faults(good, pem(key()), DOMAIN) == ["key"]
    assert certificates.faults(good, pem(mine), "example.com") == ["name"]
    assert certificates.faults(good, pem(mine), "deep.api.example.com") == ["name"]
    expired = authority.issue([DOMAIN], days=-2, public=mine.public_key())
    assert certificates.faults(expired, pem(mine), DOMAIN) == ["expired"]
    early = authority.issue([DOMAIN], days_ago=-2, public=mine.public_key())
    assert certificates.faults(early, pem(mine), DOMAIN) == ["early"]
    assert certificates.faults(good, pem(mine), DOMAIN, "rsa") == ["type"]
    assert certificates.faults(good, pem(mine), DOMAIN, "ecdsa") == []
    nothing_right = authority.issue(["other.example"], days=-2)
    assert certificates.faults(nothing_right, pem(mine), DOMAIN) == ["key", "expired", "name"]


def test_rsa_and_keys_that_are_too_short() -> None:
    def judged(private: Any, key_type: str = "") -> list[str]:
        certificate = Authority().issue([DOMAIN], public=private.public_key())
        return certificates.faults(certificate, pem(private), DOMAIN, key_type)

    assert judged(rsa.generate_private_key(65537, 2048), "rsa") == []
    assert judged(rsa.generate_private_key(65537, 2048), "ecdsa") == ["type"]
    assert judged(rsa.generate_private_key(65537, 1024)) == ["weak"]  # noqa: S505 - refused
    assert judged(ec.generate_private_key(ec.SECP224R1())) == ["weak"]
    assert judged(ed25519.Ed25519PrivateKey.generate()) == []
    assert judged(ed25519.Ed25519PrivateKey.generate(), "ecdsa") == ["type"]


@pytest.mark.parametrize(
    "broken", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_read_is_told(broken: str) -> None:
    mine = key()
    good = Authority().issue([DOMAIN], public=mine.public_key())
    assert certificates.faults(broken, pem(mine), DOMAIN) == ["unreadable"]
    assert certificates.faults(good, broken, DOMAIN) == ["unreadable"]
    assert certificates.faults(good, pem(mine, b"locked"), DOMAIN) == ["unreadable"]

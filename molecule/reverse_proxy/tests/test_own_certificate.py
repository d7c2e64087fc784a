# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients are served with a certificate of somebody else's authority, and a wrong one never replaces a good one."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from molecule.reverse_proxy.tests.conftest import Lab

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
EDGES = ("edge-12", "edge-13")


def pem(key: Key) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def issue(name: str, key: Key) -> str:
    """By an authority of its own, which nobody knows."""
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def served(lab: Lab, edge: str, ciphers: str = "") -> str:
    from molecule.reverse_proxy.tests.conftest import Edge

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    with Edge(edge, lab).connect(context=context) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")


def configure(lab: Lab, certificate: str = "", key: str = "", **others: str) -> tuple[int, str]:
    process = lab.playbook(
        "waf.yml", reverse_proxy_certificate=certificate, reverse_proxy_certificate_key=key, **others
    )
    output, _nothing = process.communicate(timeout=300)
    return process.returncode, output


@pytest.fixture(scope="module", autouse=True)
def afterwards(lab: Lab) -> Iterator[None]:
    yield
    assert configure(lab)[0] == 0


def test_it_is_served_and_its_key_is_nowhere_else(lab: Lab) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = issue(lab.domain, key)
    code, output = configure(lab, certificate, pem(key))
    assert code == 0, output
    body = pem(key).splitlines()[5]
    assert body not in output
    for edge in EDGES:
        assert served(lab, edge).split() == certificate.split()
        assert lab.run(edge, "stat", "-c", "%a %U", "/etc/hardened/edge/site.key").strip() == "400 root"
        found = lab.run(edge, "grep", "-rlF", body, "/etc", "/var/lib/hardened", "/run", check=False).split()
        assert found == ["/etc/hardened/edge/site.key"]


def test_two_are_served_side_by_side(lab: Lab) -> None:
    keys: dict[str, Key] = {
        "ECDSA": ec.generate_private_key(ec.SECP256R1()),
        "RSA": rsa.generate_private_key(65537, 2048),
    }
    own = {kind: issue(lab.domain, key) for kind, key in keys.items()}
    second = {
        "reverse_proxy_rsa_certificate": own["RSA"],
        "reverse_proxy_rsa_certificate_key": pem(keys["RSA"]),
    }
    code, output = configure(lab, own["ECDSA"], pem(keys["ECDSA"]), **second)
    assert code == 0, output
    assert [part for key in keys.values() for part in pem(key).splitlines()[2:4] if part in output] == []
    for edge in EDGES:
        assert served(lab, edge).split() == own["ECDSA"].split()
        for kind, certificate in own.items():
            assert served(lab, edge, f"ECDHE-{kind}-AES128-GCM-SHA256").split() == certificate.split()


def test_a_key_of_another_certificate_changes_nothing(lab: Lab) -> None:
    before = {edge: served(lab, edge) for edge in EDGES}
    certificate = issue(lab.domain, ec.generate_private_key(ec.SECP256R1()))
    code, output = configure(lab, certificate, pem(ec.generate_private_key(ec.SECP256R1())))
    assert code != 0
    assert "key values mismatch" in output.replace("\n", " ")
    assert {edge: served(lab, edge) for edge in EDGES} == before


def test_the_environments_own_comes_back(lab: Lab) -> None:
    assert configure(lab)[0] == 0
    own = (lab.ca.parent / "ca.crt").read_text()
    for edge in EDGES:
        issued = x509.load_pem_x509_certificate(served(lab, edge).encode())
        issued.verify_directly_issued_by(x509.load_pem_x509_certificate(own.encode()))
        assert lab.run(edge, "ls", "/etc/hardened").split().count("edge") == 0

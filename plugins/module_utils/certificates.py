# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a certificate, in words; free of Ansible."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True


def subject_alt_names(names: Sequence[str]) -> list[str]:
    """Prefix DNS names and IP addresses the way that OpenSSL and community.crypto write them.

    `DNS:` in front of an address makes a DNS name of it, for clients that look for nothing else.
    """
    return [
        name if name.startswith("DNS:") else f"{'IP' if _address(name) else 'DNS'}:{name}" for name in names
    ]


def problems(certificate: str, authority: str, names: Sequence[str], renew_before_days: int) -> list[str]:
    """Return why a PEM certificate has to be issued anew; the empty list means that it is fine.

    :param certificate: PEM text of the certificate, or an empty text where there is none.
    :param authority: PEM text of the authority that has to have issued it, or an empty text where it does not exist yet.
    :param names: every DNS name and IP address that the certificate has to be for.
    :param renew_before_days: fewest days of validity that may be left.
    :raises ValueError: when `authority` is not a certificate.
    """
    if not certificate:
        return ["is not there yet"]
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        return ["is not a PEM certificate"]
    found = []
    if not authority or not _issued_by(leaf, _load_authority(authority)):
        found.append("was not issued by the environment's authority")
    left = (leaf.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)).days
    if left < max(renew_before_days, 0):
        found.append("has expired" if left < 0 else f"expires in {left} days")
    missing = sorted({_normal(name.removeprefix("DNS:")) for name in names} - _names(leaf))
    if missing:
        found.append(f"is not for {', '.join(missing)}")
    return found


def faults(chain: str, key: str, domain: str, key_type: str = "") -> list[str]:
    """Return what keeps a server from serving a domain with a certificate of somebody else's authority.

    :param chain: PEM text of the certificate, followed by those of the authorities between it and the root.
    :param key: PEM text of its private key.
    :param domain: DNS name that clients ask for.
    :param key_type: rsa or ecdsa, where the key has to be of this type.
    :returns: any of unreadable, key, expired, early, name, chain, type, weak.
    """
    try:
        leaf, *authorities = x509.load_pem_x509_certificates(chain.encode())
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return ["unreadable"]
    now = datetime.datetime.now(datetime.timezone.utc)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    links = zip([leaf, *authorities], authorities)
    wrong = {
        "key": leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form),
        "expired": leaf.not_valid_after_utc < now,
        "early": leaf.not_valid_before_utc > now,
        "name": not {domain.lower(), "*." + domain.lower().partition(".")[2]} & _names(leaf),
        "chain": not all(_issued_by(one, other) for one, other in links),
        "type": key_type not in ("", _key_type(leaf)),
        "weak": _weak(leaf),
    }
    return [fault for fault, found in wrong.items() if found]


def _key_type(leaf: x509.Certificate) -> str:
    public = leaf.public_key()
    if isinstance(public, RSAPublicKey):
        return "rsa"
    return "ecdsa" if isinstance(public, EllipticCurvePublicKey) else "another"


def _weak(leaf: x509.Certificate) -> bool:
    """Whether the TLS library of the hosts would refuse the key."""
    public = leaf.public_key()
    if isinstance(public, RSAPublicKey):
        return public.key_size < 2048
    return isinstance(public, EllipticCurvePublicKey) and public.key_size < 256


def _load_authority(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise ValueError("the authority's own certificate is not a PEM certificate") from error


def _issued_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    dns = extension.get_values_for_type(x509.DNSName)
    return {name.lower() for name in dns} | {
        str(address) for address in extension.get_values_for_type(x509.IPAddress)
    }


def _address(name: str) -> str:
    """The one way to write an address, or an empty text for a name."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return ""


def _normal(name: str) -> str:
    return _address(name) or name.lower()

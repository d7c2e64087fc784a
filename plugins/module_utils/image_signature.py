# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody whose public key is known has signed an image, by what cosign stores beside it.

Formats: cosign's simple signing (its specification SIGNATURE_SPEC.md), DSSE envelopes of in-toto statements (secure-systems-lab/dsse,
in-toto/attestation), both as tags, and Sigstore bundles (protobuf-specs, version 0.3) that hold such envelopes. Keys: ECDSA and RSA
(PKCS #1 v1.5 or PSS) with SHA-256, and Ed25519. Certificates of a keyless signature are not judged: without a log to ask, they prove little.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
except ImportError:
    # ansible-core needs it on the controller, the only place where this runs; ansible-test imports it where nothing is.
    pass

_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_CERTIFICATE = "dev.sigstore.cosign/certificate"
_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_STATEMENT = "application/vnd.in-toto+json"
# The predicate by which a bundle is a signature of the image and says nothing more about it.
_SIGNED = "https://sigstore.dev/cosign/sign/v1"


class KeyProblem(ValueError):
    """A text that is no public key of a kind that signs images."""


@dataclass
class Verdict:
    """Who signed an image, and what about it is attested.

    signed_by: fingerprints of the keys with a good signature. attested: types of predicates with a good signature. strangers: number of
    signatures and attestations by keys that are not ours, or of something else. unchecked: number of those that could not be judged.
    """

    signed_by: list[str] = field(default_factory=list)
    attested: list[str] = field(default_factory=list)
    strangers: int = 0
    unchecked: int = 0


def load_key(text: str) -> Any:
    """A public key in PEM form, or KeyProblem."""
    try:
        key = serialization.load_pem_public_key(text.strip().encode())
    except (ValueError, UnicodeError) as error:
        raise KeyProblem("no public key in PEM form") from error
    if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
        raise KeyProblem("a key of a kind that signs no images")
    return key


def fingerprint(key: Any) -> str:
    """SHA-256 of the key's DER form, as `openssl pkey -pubin -outform DER | sha256sum` shows it."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(der).hexdigest()


def judge(digest: str, evidence: Iterable[Mapping[str, Any]], keys: Sequence[Any]) -> Verdict:
    """`evidence` is what M(techsaas.hardened.image_info) found beside the image with this digest. Nothing in it is trusted."""
    verdict = Verdict()
    for item in evidence:
        try:
            _judge_one(digest, item, keys, verdict)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            verdict.strangers += 1
    verdict.signed_by = sorted(set(verdict.signed_by))
    verdict.attested = sorted(set(verdict.attested))
    return verdict


def _judge_one(digest: str, item: Mapping[str, Any], keys: Sequence[Any], verdict: Verdict) -> None:
    content = base64.b64decode(item["content"])
    kind, annotations = item["media_type"], item["annotations"]
    if not content or _CERTIFICATE in annotations:
        verdict.unchecked += 1
    elif kind == _SIMPLE:
        signer = _signer(keys, content, annotations[_SIGNATURE])
        image = json.loads(content)["critical"]
        if signer and image["image"]["docker-manifest-digest"] == digest and "cosign" in image["type"]:
            verdict.signed_by.append(signer)
        else:
            verdict.strangers += 1
    elif kind == _ENVELOPE:
        _judge_envelope(digest, json.loads(content), keys, verdict)
    elif kind.startswith(_BUNDLE):
        bundle = json.loads(content)
        if "publicKey" not in bundle["verificationMaterial"] or "dsseEnvelope" not in bundle:
            verdict.unchecked += 1
        else:
            _judge_envelope(digest, bundle["dsseEnvelope"], keys, verdict)


def _judge_envelope(digest: str, envelope: Mapping[str, Any], keys: Sequence[Any], verdict: Verdict) -> None:
    payload = base64.b64decode(envelope["payload"])
    kind = str(envelope["payloadType"])
    # What is signed is both, with their lengths, so that neither can be read as part of the other (DSSE, "PAE").
    signed = b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)
    signers = [_signer(keys, signed, signature["sig"]) for signature in envelope["signatures"]]
    signer = next((name for name in signers if name), "")
    statement = json.loads(payload)
    subjects = [subject["digest"].get("sha256") for subject in statement.get("subject") or []]
    if not signer or kind != _STATEMENT or digest.partition(":")[2] not in subjects:
        verdict.strangers += 1
    elif statement["predicateType"] == _SIGNED:
        verdict.signed_by.append(signer)
    else:
        verdict.attested.append(str(statement["predicateType"]))


def _signer(keys: Sequence[Any], signed: bytes, signature: str) -> str:
    """Fingerprint of the key that made the signature; empty when it was none of them."""
    try:
        raw = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return ""
    return next((fingerprint(key) for key in keys if _verifies(key, signed, raw)), "")


def _verifies(key: Any, signed: bytes, signature: bytes) -> bool:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _accepts(lambda: key.verify(signature, signed))
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _accepts(lambda: key.verify(signature, signed, ec.ECDSA(hashes.SHA256())))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return _accepts(lambda: key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())) or _accepts(
        lambda: key.verify(signature, signed, pss, hashes.SHA256())
    )


def _accepts(verify: Any) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True

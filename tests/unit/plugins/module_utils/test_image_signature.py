# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures as cosign makes them, made here with each kind of key, and each way in which one is worth nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.action.image_info import _judge as judged
from ansible_collections.techsaas.hardened.plugins.module_utils.image_signature import (
    KeyProblem,
    Verdict,
    fingerprint,
    judge,
    load_key,
)
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
SPDX = "https://spdx.dev/Document"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
STRANGER = ec.generate_private_key(ec.SECP256R1())
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def pem(key: Any) -> str:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(*form).decode())


KEYS = [load_key(pem(key)) for key in (EC_KEY, RSA_KEY, ED_KEY)]


def sign(key: Any, content: bytes, scheme: Any = None) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        raw = key.sign(content, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPrivateKey):
        raw = key.sign(content, scheme or padding.PKCS1v15(), hashes.SHA256())
    else:
        raw = key.sign(content)
    return base64.b64encode(raw).decode()


def item(kind: str, content: bytes, **annotations: str) -> dict[str, Any]:
    return {
        "media_type": kind,
        "content": base64.b64encode(content).decode(),
        "annotations": {name.replace("_", "/"): value for name, value in annotations.items()},
    }


def simple(
    key: Any, digest: str = DIGEST, kind: str = "cosign container image signature", scheme: Any = None
) -> Any:
    content = json.dumps(
        {
            "critical": {
                "identity": {"docker-reference": "r:1/api"},
                "image": {"docker-manifest-digest": digest},
                "type": kind,
            }
        }
    ).encode()
    made = item("application/vnd.dev.cosign.simplesigning.v1+json", content)
    made["annotations"]["dev.cosignproject.cosign/signature"] = sign(key, content, scheme)
    return made


def envelope(
    key: Any, digest: str = DIGEST, predicate: str = SPDX, kind: str = "application/vnd.in-toto+json"
) -> Any:
    statement = {
        "predicateType": predicate,
        "subject": [{"name": "r:1/api", "digest": {"sha256": digest.partition(":")[2]}}],
    }
    payload = json.dumps(statement).encode()
    signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    return {
        "payloadType": kind,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": sign(key, signed)}],
    }


def attested(key: Any, **changes: str) -> Any:
    return item("application/vnd.dsse.envelope.v1+json", json.dumps(envelope(key, **changes)).encode())


def bundle(key: Any, material: str = "publicKey", **changes: str) -> Any:
    content = {"verificationMaterial": {material: {}}, "dsseEnvelope": envelope(key, **changes)}
    return item("application/vnd.dev.sigstore.bundle.v0.3+json", json.dumps(content).encode())


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY, ED_KEY], ids=["ec", "rsa", "ed25519"])
def test_a_signature_by_each_kind_of_key(key: Any) -> None:
    verdict = judge(DIGEST, [simple(key)], KEYS)
    assert verdict == Verdict(signed_by=[fingerprint(load_key(pem(key)))])
    assert judge(DIGEST, [attested(key)], KEYS) == Verdict(attested=[SPDX])
    signing = bundle(key, predicate="https://sigstore.dev/cosign/sign/v1")
    assert judge(DIGEST, [signing], KEYS) == verdict


def test_rsa_with_pss() -> None:
    assert judge(DIGEST, [simple(RSA_KEY, scheme=PSS)], KEYS).signed_by


@pytest.mark.parametrize(
    "evidence",
    [
        simple(STRANGER),
        simple(EC_KEY, digest=OTHER),
        simple(EC_KEY, kind="something else"),
        attested(STRANGER),
        attested(EC_KEY, digest=OTHER),
        attested(EC_KEY, kind="application/json"),
        bundle(STRANGER, predicate="https://sigstore.dev/cosign/sign/v1"),
        bundle(EC_KEY, digest=OTHER, predicate="https://sigstore.dev/cosign/sign/v1"),
        item("application/vnd.dev.cosign.simplesigning.v1+json", b"{}"),
        item("application/vnd.dsse.envelope.v1+json", b"[]"),
        item("application/vnd.dsse.envelope.v1+json", b"[" * 100000),
    ],
)
def test_what_is_worth_nothing(evidence: Any) -> None:
    assert judge(DIGEST, [evidence], KEYS) == Verdict(strangers=1)
    # And takes nothing from what is good beside it.
    beside = judge(DIGEST, [evidence, simple(EC_KEY)], KEYS)
    assert (len(beside.signed_by), beside.strangers) == (1, 1)


def test_a_signature_for_what_was_changed_after_it() -> None:
    signed = simple(EC_KEY)
    content = json.loads(base64.b64decode(signed["content"]))
    content["critical"]["image"]["docker-manifest-digest"] = OTHER
    signed["content"] = base64.b64encode(json.dumps(content).encode()).decode()
    assert judge(OTHER, [signed], KEYS) == Verdict(strangers=1)


def test_what_cannot_be_judged_is_counted() -> None:
    keyless = simple(EC_KEY)
    keyless["annotations"]["dev.sigstore.cosign/certificate"] = "PEM"
    large = item("application/vnd.dsse.envelope.v1+json", b"")
    evidence = [keyless, large, bundle(EC_KEY, material="certificate"), item("text/plain", b"x")]
    assert judge(DIGEST, evidence, KEYS) == Verdict(unchecked=3)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "media_type": st.sampled_from(
                    [made["media_type"] for made in (simple(EC_KEY), attested(EC_KEY), bundle(EC_KEY))]
                ),
                "content": st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()),
                "annotations": st.dictionaries(
                    st.just("dev.cosignproject.cosign/signature"), st.text(max_size=20)
                ),
            }
        ),
        max_size=4,
    )
)
def test_garbage_signs_nothing(evidence: list[Any]) -> None:
    verdict = judge(DIGEST, evidence, KEYS)
    assert (verdict.signed_by, verdict.attested) == ([], [])


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519 AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(KeyProblem, match="no public key"):
        load_key(text)


def test_a_key_of_another_kind() -> None:
    with pytest.raises(KeyProblem, match="signs no images"):
        load_key(pem(dsa.generate_private_key(2048)))


@pytest.mark.parametrize(
    ("evidence", "required", "codes", "words"),
    [
        ([], True, ["IMAGE_UNSIGNED"], "has no signature"),
        ([simple(STRANGER)], True, ["IMAGE_UNSIGNED"], "by others, or of another image"),
        ([], False, [], "has no signature"),
        ([simple(EC_KEY)], True, [], "is signed by the key"),
        ([simple(EC_KEY), simple(STRANGER)], True, [], "beside the image's signature lie 1"),
    ],
)
def test_what_the_action_makes_of_it(
    evidence: list[Any], required: bool, codes: list[str], words: str
) -> None:
    found = judged(DIGEST, evidence, [pem(EC_KEY)], [], required)
    assert [problem["code"] for problem in found["problems"]] == codes
    said = [problem["message"] for problem in found["problems"]] + found["notes"]
    assert any(words in line for line in said), said


def test_the_action_and_attestations() -> None:
    wanted = [SPDX, "https://slsa.dev/provenance/v1"]
    found = judged(DIGEST, [simple(EC_KEY), attested(EC_KEY)], [pem(EC_KEY)], wanted, True)
    assert [problem["code"] for problem in found["problems"]] == ["IMAGE_ATTESTATION"]
    assert "https://slsa.dev/provenance/v1" in found["problems"][0]["message"]


def test_the_action_without_keys_asks_nothing() -> None:
    assert judged(DIGEST, [], [], [], True)["problems"] == []
    (problem,) = judged(DIGEST, [], ["no key"], [], True)["problems"]
    assert problem["code"] == "IMAGE_SIGNATURE"

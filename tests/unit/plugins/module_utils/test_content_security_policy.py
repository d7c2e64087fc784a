# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy is judged as a browser would read it, and nothing of it is repeated."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.content_security_policy import faults
from house import ROOT, load
from hypothesis import given
from hypothesis import strategies as st

_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}'"
_HASH_512 = f"'sha512-{base64.urlsafe_b64encode(hashlib.sha512(b'x').digest()).decode().rstrip('=')}'"


@pytest.mark.parametrize(
    "policy",
    [
        load(ROOT / "roles/reverse_proxy/vars/main/site.yml")["_reverse_proxy_headers"][
            "Content-Security-Policy"
        ],
        "default-src 'self'",
        "Default-Src 'SELF';",
        "default-src 'none'; script-src 'self' https://cdn.example.com:8443/js/ 'strict-dynamic'; img-src data: https: *",
        f"script-src {_HASH} {_HASH_512} 'unsafe-hashes'; style-src 'unsafe-inline' 'report-sample'",
        "connect-src wss://*.example.com:* http://127.0.0.1; frame-ancestors 'none'; base-uri 'self'; form-action",
        "upgrade-insecure-requests; sandbox allow-scripts allow-forms; report-uri /csp https://r.example.com/x?y=1",
        "require-trusted-types-for 'script'; trusted-types one two 'allow-duplicates'; report-to main",
    ],
)
def test_good_policies(policy: str) -> None:
    assert faults(policy) == []


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("", "must have a directive"),
        (" ; ;", "must have a directive"),
        ("default-src 'self', img-src *", "comma"),
        ("defualt-src 'self'", "does not exist (number 1) // did you mean default-src?"),
        ("default-src 'self'; 'self'", "does not exist (number 2) // a source has to follow"),
        ("default-src 'self'; https:", "a source has to follow"),
        ("default-src 'self'; zebra 1", "directives are: "),
        ("default-src none", "has none without its single quotes in default-src // write 'none'"),
        ('script-src "self"', "has self without its single quotes"),
        ("script-src unsafe-inline", "write 'unsafe-inline'"),
        ("default-src 'none' https://a.example", "'none' beside other sources in default-src"),
        ("default-src 'self'; script-src *; Default-src *", "has default-src twice"),
        (
            "default-src 'self' script-src 'self'",
            "has script-src among the values of default-src // write a ;",
        ),
        (
            "upgrade-insecure-requests default-src *",
            "write a ; between upgrade-insecure-requests and default-src",
        ),
        ("upgrade-insecure-requests 1", "takes none"),
        ("script-src 'sha256-abc'", "hash that is none in script-src (source 1)"),
        ("script-src sha256-" + "A" * 43 + "=", "hash that is none"),
        ("script-src 'sha1-abcd'", "hash that is none"),
        (f"script-src {_HASH.replace('sha256', 'sha512')}", "hash that is none"),
        (f"img-src {_HASH}", "has a hash in img-src, where it allows nothing"),
        ("script-src 'nonce-abc123'", "nonce"),
        ("script-src nonce-abc123", "nonce"),
        ("script-src 'nonce-'", "nonce"),
        ("img-src 'unsafe-inline'", "where it means nothing"),
        ("script-src 'slef'", "did you mean 'self'?"),
        ("script-src 'zebra'", "only keywords and hashes"),
        ("script-src https://a b.example/?q", "source that is none in script-src (source 2)"),
        ("script-src a..b", "source that is none"),
        ("script-src a.example:99999", "source that is none"),
        ("script-src *.*.example", "source that is none"),
        ("plugin-types application/pdf", "no browser acts on"),
        ("sandbox allow-zebra", "permission in sandbox"),
        ("report-to", "one group"),
        ("report-uri", "addresses"),
        ("report-uri zebra", "addresses"),
        ("require-trusted-types-for script", "'script'"),
        ("trusted-types 'none' x", "beside other values"),
        ("trusted-types none", "without quotes"),
        ("trusted-types $x", "cannot be in trusted-types"),
    ],
)
def test_bad_policies(policy: str, words: str) -> None:
    found = [" // ".join(fault) for fault in faults(policy)]
    assert len(found) == 1 and words in found[0]
    assert "zebra" not in found[0]


def test_everything_is_told_at_once() -> None:
    assert len(faults("default-src none; imgsrc *; script-src 'none' 'self'; script-src *")) == 4


_NAMES = st.sampled_from(
    ["default-src", "script-src", "img-src", "frame-ancestors", "base-uri", "form-action"]
)
_SOURCES = st.lists(st.sampled_from(["'self'", "https:", "https://a.example", "*.b.example:443"]), max_size=4)


@given(st.dictionaries(_NAMES, _SOURCES, min_size=1), st.sampled_from(["; ", ";", " ;  "]), st.booleans())
def test_what_the_grammar_allows_is_good(policy: dict[str, list[str]], between: str, last: bool) -> None:
    text = between.join(" ".join([name, *sources]) for name, sources in policy.items()) + (
        ";" if last else ""
    )
    assert faults(text) == []


@given(st.dictionaries(_NAMES, _SOURCES, min_size=2))
def test_a_missing_semicolon_is_always_found(policy: dict[str, list[str]]) -> None:
    assert faults(" ".join(" ".join([name, *sources]) for name, sources in policy.items())) != []


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_anything_is_judged_without_being_repeated(policy: str) -> None:
    said = " ".join(part for fault in faults(policy) for part in fault)
    assert [word for word in re.findall(r"\S{40,}", policy) if word in said] == []

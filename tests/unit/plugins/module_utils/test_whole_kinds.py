# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers and parts of an API: what contradicts itself, and what a server would pass over in silence."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import jinja2
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import (
    SpecificationError,
    build,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.value_check import check
from ansible_collections.techsaas.hardened.plugins.module_utils.whole_kinds import HEADERS
from ansible_collections.techsaas.hardened.plugins.plugin_utils.rule_judge import RuleJudge
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import read_specification
from ansible_collections.techsaas.hardened.plugins.plugin_utils.variable_resolver import Resolver
from house import ROOT, load

_EDGE = read_specification(ROOT, DataLoader()).roles["reverse_proxy"]


def judged(option: str, value: Any) -> list[str]:
    return [finding.where + " " + finding.code for finding in check(_EDGE.options[option], value)]


def headers(**value: Any) -> list[str]:
    return judged("reverse_proxy_headers", {name.replace("_", "-"): text for name, text in value.items()})


def parts(*value: dict[str, Any]) -> list[str]:
    return judged("reverse_proxy_paths", list(value))


def test_the_roles_own_headers_are_the_known_ones_and_good() -> None:
    own = load(ROOT / "roles/reverse_proxy/vars/main/site.yml")["_reverse_proxy_headers"]
    assert set(own) == set(HEADERS)
    given = {name: value for name, value in own.items() if name != "Strict-Transport-Security"}
    assert judged("reverse_proxy_headers", given) == []


def test_good_headers() -> None:
    assert headers(X_Frame_Options="SAMEORIGIN", X_Mine='a "quoted" \\ text', Permissions_Policy="") == []
    assert headers(Referrer_Policy="no-referrer, strict-origin", Strict_Transport_Security="") == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"X Mine": "x"}, " HEADER_NAME"),
        ({"X-Mine:": "x"}, " HEADER_NAME"),
        ({"": "x"}, " HEADER_NAME"),
        ({"X-Mine\n": "x"}, " HEADER_NAME"),
        ({7: "x"}, " HEADER_NAME"),
        ({"X-Mine": "a\nSet-Cookie: b"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": "a\r"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": "a\tb"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": "ä"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": " a"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": "$host"}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": "a" * 4001}, ".X-Mine HEADER_VALUE"),
        ({"X-Mine": 1}, ".X-Mine TYPE"),
        ({"X-Mine": "a", "x-mine": "a"}, ".x-mine DUPLICATE"),
        ({"x-frame-options": "DENY"}, ".x-frame-options SPELLING"),
        ({"X-Frame-Options": "ALLOW-FROM https://x"}, ".X-Frame-Options HEADER_VALUE"),
        ({"Referrer-Policy": "never"}, ".Referrer-Policy HEADER_VALUE"),
        ({"Strict-Transport-Security": "max-age=1"}, ".Strict-Transport-Security RESERVED"),
        ({"Access-Control-Allow-Origin": "*"}, ".Access-Control-Allow-Origin RESERVED"),
        ({"Cache-Control": "no-store"}, ".Cache-Control RESERVED"),
        ({"x-accel-redirect": "/x"}, ".x-accel-redirect RESERVED"),
        ({"Content-Security-Policy": "default-src none"}, ".Content-Security-Policy CSP"),
        ({"Content-Security-Policy": "default-src\n'none'"}, ".Content-Security-Policy HEADER_VALUE"),
        ({"Content-Security-Policy-Report-Only": "zebra"}, ".Content-Security-Policy-Report-Only CSP"),
    ],
)
def test_bad_headers(value: dict[Any, Any], found: str) -> None:
    assert judged("reverse_proxy_headers", value) == [found]


_NET = {"networks": ["192.0.2.0/24"]}


def test_parts_that_mean_what_they_say() -> None:
    assert parts({"path": "/admin", "exact": True, **_NET}, {"path": "/admin/", **_NET}) == []
    # The path itself has a rate of its own, and what lies below it another.
    assert (
        parts(
            {"path": "/login", "exact": True, "rate_limit": "5r/m"}, {"path": "/login", "rate_limit": "1r/s"}
        )
        == []
    )
    assert parts({"path": "/admin/", **_NET}, {"path": "/admin/keys", **_NET, "rate_limit": "1r/s"}) == []
    assert parts({"path": "/a/", **_NET}, {"path": "/b/", "rate_limit": "1r/s"}) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([{"path": "/a", **_NET}, {"path": "/a", "rate_limit": "1r/s"}], "[1].path OVERLAP"),
        ([{"path": "/a", "exact": True, **_NET}, {"path": "/a", "exact": True}], "[1].path OVERLAP"),
        ([{"path": "/a", "exact": True, **_NET}, {"path": "/a", **_NET}], "[0] OVERLAP"),
        # The longer path would open what the shorter one closes.
        ([{"path": "/admin/", **_NET}, {"path": "/admin/keys", "rate_limit": "1r/s"}], "[1] SHADOWED"),
        ([{"path": "/admin/keys", "exact": True}, {"path": "/admin/", **_NET}], "[0] SHADOWED"),
        ([{"path": "/auth/", "rate_limit": "1r/s"}, {"path": "/auth/x", **_NET}], "[1] SHADOWED"),
        (
            [{"path": "/a", **_NET}, {"path": "/ab", **_NET, "rate_limit": "1r/s"}, {"path": "/abc", **_NET}],
            "[2] SHADOWED",
        ),
        ([{"path": "/a//b"}], "[0].path NO_SUCH_PATH"),
        ([{"path": "/a/../b"}], "[0].path NO_SUCH_PATH"),
        ([{"path": "/hardened-error", "exact": True}], "[0].path RESERVED"),
    ],
)
def test_parts_that_would_be_passed_over(value: list[dict[str, Any]], found: str) -> None:
    assert parts(*value) == [found]


def test_only_what_is_a_whole_can_be_judged_as_one() -> None:
    for body in ({"type": "str", "whole": "headers"}, {"type": "dict", "whole": "nosuch"}):
        with pytest.raises(SpecificationError, match="no such kind of a whole"):
            build({"options": {"x": body}}, {})


@pytest.fixture
def broken() -> Callable[..., set[tuple[str, str]]]:
    """The rules of the edge that these variables break."""
    judge = RuleJudge(Resolver(DataLoader()))

    def run(**variables: Any) -> set[tuple[str, str]]:
        everything = {**_EDGE.defaults, "hardened_domain": "api.your-company.com", **variables}
        plain = {name: value for name, value in everything.items() if not name.startswith("_")}
        # The collection's own filters are known within a run of Ansible only.
        rules = [rule for rule in _EDGE.rules if "techsaas.hardened" not in rule.that]
        found = {(rule, judge.finding(rule, _EDGE.options, plain, ())) for rule in rules}
        return {(rule.variable, finding.code) for rule, finding in found if finding}

    return run


def day(ahead: int) -> str:
    return str((datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=ahead)).date())


def test_contacts_expire_within_a_year(broken: Callable[..., set[tuple[str, str]]]) -> None:
    contacts = {"reverse_proxy_security_contacts": ["mailto:security@example.com"]}
    for ahead, codes in ((0, set()), (364, set()), (368, {"TOO_FAR"}), (-2, {"OUT_OF_DATE"})):
        found = broken(**contacts, reverse_proxy_security_expires=day(ahead))
        assert {code for _variable, code in found} == codes, ahead
    assert judged("reverse_proxy_security_expires", "2027-02-30") == [" DAY"]
    assert judged("reverse_proxy_security_expires", "20270201") == [" DAY"]
    published = {**contacts, "reverse_proxy_security_expires": day(9)}
    assert broken(
        **published, reverse_proxy_paths=[{"path": "/.well-known/security.txt", "exact": True}]
    ) == {("reverse_proxy_paths", "OVERLAP")}


def test_preloading_goes_with_what_browsers_ask_for(broken: Callable[..., set[tuple[str, str]]]) -> None:
    assert broken(reverse_proxy_hsts_preload=True) == set()
    for change in (
        {"reverse_proxy_hsts_max_age": 3600},
        {"reverse_proxy_hsts_subdomains": False},
        {"reverse_proxy_headers": {"Strict-Transport-Security": ""}},
    ):
        assert broken(reverse_proxy_hsts_preload=True, **change) == {
            ("reverse_proxy_hsts_preload", "PRELOAD")
        }


def test_origins_at_the_edge(broken: Callable[..., set[tuple[str, str]]]) -> None:
    assert judged("reverse_proxy_cors_origins", ["https://console.your-company.com"]) == []
    for origin in ("*", "null", "https://*.your-company.com", "~.*", "https://a.your-company.com/"):
        assert judged("reverse_proxy_cors_origins", [origin]) == ["[0] ORIGIN"], origin
    assert judged("reverse_proxy_cors_headers", ["*"]) == ["[0] PATTERN"]
    edge = {"reverse_proxy_cors": "edge", "reverse_proxy_cors_origins": ["https://console.your-company.com"]}
    assert broken(**edge) == set()
    assert broken(**edge, reverse_proxy_waf_methods=["GET"]) == set()
    assert broken(**edge, reverse_proxy_cors_methods=["PURGE"]) == {("reverse_proxy_cors_methods", "METHODS")}


def test_two_certificates_have_to_go_together() -> None:
    """By name, which rules are broken; what the filter finds is stood in for, since it has tests of its own."""
    environment = jinja2.Environment()  # noqa: S701 - no markup
    # A certificate is here the word for its type, and of its faults.
    environment.filters["techsaas.hardened.certificate_faults"] = lambda given, _key, _domain, kind="": [
        *given.split()[1:],
        *(["type"] if kind and kind != given.split()[0] else []),
    ]
    environment.filters["intersect"] = lambda one, other: [item for item in one if item in other]

    def broken(own: str, rsa: str, types: list[str], profile: str = "intermediate") -> set[tuple[str, str]]:
        given = {"reverse_proxy_certificate": own, "reverse_proxy_certificate_key": own and "key"}
        given |= {"reverse_proxy_rsa_certificate": rsa, "reverse_proxy_rsa_certificate_key": rsa and "key"}
        values = {**given, "reverse_proxy_key_types": types, "reverse_proxy_tls_profile": profile}
        codes = (
            "OTHER_KEY",
            "NOT_VALID",
            "OTHER_NAME",
            "CHAIN",
            "KEY_TYPE",
            "WEAK",
            "NO_RSA",
            "KEY_TYPES",
            "PROFILE",
        )
        return {
            (rule.variable.removeprefix("reverse_proxy_"), rule.code)
            for rule in _EDGE.rules
            if rule.code in codes
            and not environment.compile_expression(rule.that)(hardened_domain="x", **values)
        }

    both = ["ecdsa", "rsa"]
    assert broken("", "", ["ecdsa"]) == broken("", "", both) == broken("", "", ["rsa"]) == set()
    assert (
        broken("ecdsa", "rsa", both) == broken("ecdsa", "", ["ecdsa"]) == broken("rsa", "", ["rsa"]) == set()
    )
    # As it was before there were two.
    assert broken("rsa", "", ["ecdsa"]) == set()
    assert broken("", "", both, "modern") == {("key_types", "PROFILE")}
    assert broken("rsa", "", ["ecdsa"], "modern") == {("certificate", "KEY_TYPE")}
    assert broken("ecdsa", "ecdsa", both) == {("rsa_certificate", "KEY_TYPE")}
    assert broken("rsa", "rsa", both) == {("certificate", "KEY_TYPE")}
    assert broken("ecdsa", "", both) == broken("rsa", "", both) == {("rsa_certificate", "NO_RSA")}
    assert broken("ecdsa", "rsa", ["ecdsa"]) == {("key_types", "KEY_TYPES")}
    # All at once.
    assert broken("ecdsa weak", "rsa expired name chain key weak", ["rsa"], "modern") == {
        ("certificate", "WEAK"),
        ("rsa_certificate", "NOT_VALID"),
        ("rsa_certificate", "OTHER_NAME"),
        ("rsa_certificate", "CHAIN"),
        ("rsa_certificate", "WEAK"),
        ("rsa_certificate_key", "OTHER_KEY"),
        ("key_types", "KEY_TYPES"),
        ("key_types", "PROFILE"),
    }

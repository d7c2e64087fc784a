# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients get a certificate of the ACME authority, challenges find their answer on any edge, and secrets stay where they belong."""

from __future__ import annotations

import re
import secrets
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from labkit.client import Client

    from molecule.acme.conftest import Edge

CHALLENGES = "/.well-known/acme-challenge"
WEBROOT = f"/run/hardened-acme{CHALLENGES}"


def other(edge: Edge) -> Edge:
    name = {"edge-12": "edge-13", "edge-13": "edge-12"}[edge.name]
    return type(edge)(name, edge.client)


def test_clients_get_one_of_the_acme_authority(edge: Edge, root: str) -> None:
    found = edge.trusted(root)
    assert found["subjectAltName"] == (("DNS", edge.client.domain),)
    with pytest.raises(ssl.SSLCertVerificationError):
        edge.trusted((edge.client.inventory / ".pki" / "ca.crt").read_text())


def test_each_edge_has_a_key_of_its_own(client: Client, edge: Edge) -> None:
    key = "openssl pkey -in /etc/hardened/acme/*.key -pubout"
    assert edge.sh(key) != other(edge).sh(key)


def test_only_root_reads_the_key(edge: Edge) -> None:
    name = edge.served()[:16]
    assert edge.installed() == [
        f"{name}.crt 644 root root",
        f"{name}.key 400 root root",
        "site.conf 644 root root",
    ]
    assert edge.sh("stat -c '%a %U' /var/lib/hardened/edge/acme /var/lib/hardened-acme").split() == [
        *("700", "root"),
        *("700", "hardened-acme"),
    ]
    # The key lies nowhere else, and nothing is left of its order.
    body = edge.sh("sed -n 2p /etc/hardened/acme/*.key").strip()
    found = edge.sh(
        f"grep -rlF -- '{body}' /etc /var/lib/hardened /var/lib/hardened-acme /run /var/log || true"
    ).split()
    assert found == [f"/etc/hardened/acme/{name}.key"]


def test_the_timer_is_on(edge: Edge) -> None:
    shown = edge.sh(
        "systemctl show --property ActiveState,UnitFileState,NextElapseUSecRealtime hardened-acme.timer"
    )
    assert "ActiveState=active" in shown
    assert "UnitFileState=enabled" in shown
    assert re.search(r"NextElapseUSecRealtime=\S", shown)


def test_the_network_is_for_a_user_who_owns_nothing_else(edge: Edge) -> None:
    shown = edge.sh(
        "systemctl show --property User,CapabilityBoundingSet,ProtectSystem hardened-acme-order.service"
    )
    assert sorted(shown.split()) == ["CapabilityBoundingSet=", "ProtectSystem=strict", "User=hardened-acme"]


def test_success_was_told(edge: Edge) -> None:
    last = edge.lines()[-1]
    assert (last["event"], last["action"], last["domain"]) == ("certificate", "renewed", edge.client.domain)
    assert last["days_left"] in (89, 90)
    assert edge.served() == last["fingerprint"]


def test_secrets_are_nowhere_in_clear(edge: Edge, eab_hmac: str) -> None:
    places = "/etc /var/lib/hardened /var/lib/hardened-acme /run /var/log /usr/local"
    assert edge.sh(f"grep -rlF -- '{eab_hmac}' {places} || true") == ""
    assert edge.sh(f"journalctl --no-pager | grep -cF -- '{eab_hmac}' || true").strip() == "0"


# -- port 80 ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def token(edge: Edge) -> Iterator[str]:
    """The answer to a challenge, as another edge's order would have it."""
    name = secrets.token_urlsafe(32)
    there = other(edge)
    there.sh(f"mkdir -p {WEBROOT}; echo answer-{name} > {WEBROOT}/{name}; chmod -R a+rX /run/hardened-acme")
    yield name
    there.sh("rm -r /run/hardened-acme")


def test_a_challenge_is_answered_wherever_it_arrives(edge: Edge, token: str) -> None:
    for asked in (edge, other(edge)):
        assert asked.http(f"{CHALLENGES}/{token}")[::2] == (200, f"answer-{token}\n")


def test_an_edge_that_is_asked_by_another_asks_nobody(edge: Edge, token: str) -> None:
    assert edge.http(f"{CHALLENGES}/{token}", "--header", "X-Hardened-ACME: asked")[0] == 404


def test_an_unknown_one_is_asked_for_once(edge: Edge) -> None:
    name = secrets.token_urlsafe(32)
    assert edge.http(f"{CHALLENGES}/{name}")[0] == 404
    seen = f"grep -c -- '{name}' /var/log/nginx/access.jsonl || true"
    hosts = (edge, other(edge))
    for _try in range(20):
        if all(int(host.sh(seen)) for host in hosts):
            break
        time.sleep(0.5)
    time.sleep(1)
    assert [int(host.sh(seen)) for host in hosts] == [1, 1]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/items?page=2",
        CHALLENGES,
        f"{CHALLENGES}/",
        f"{CHALLENGES}/short",
        f"{CHALLENGES}/{'a' * 129}",
        f"{CHALLENGES}/{'a' * 43}/more",
        f"{CHALLENGES}/{'a' * 43}.txt",
        f"{CHALLENGES}/..%2f{'a' * 43}",
    ],
)
def test_everything_else_is_redirected(edge: Edge, path: str) -> None:
    status, location, _body = edge.http(path)
    assert status == 301
    assert location.startswith(f"https://{edge.client.domain}/")


def test_challenges_are_only_read(edge: Edge, token: str) -> None:
    assert edge.http(f"{CHALLENGES}/{token}", "--request", "DELETE")[0] == 403
    assert edge.http(f"{CHALLENGES}/{token}", "--data", "more")[0] == 403

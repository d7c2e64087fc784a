# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario: what the role does when a certificate or an authority is not what it should be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from labkit.client import Client

PKI = "/etc/hardened/pki"
CONVERGE = "../molecule/pki/converge.yml"
HOSTS = ("pki-12", "pki-13")


def changes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tasks changed something, by host."""
    found = re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
    return {host: int(number) for host, number in found}


def reasons(done: subprocess.CompletedProcess[str]) -> list[str]:
    return sorted(re.findall(rf"msg: '?{PKI}/(.*?)'?$", done.stdout, re.MULTILINE))


def digest(client: Client, host: str, name: str) -> str:
    return client.on(host, "sha256sum", f"{PKI}/{name}").split()[0]


@pytest.fixture(autouse=True)
def keys_stay(client: Client) -> Iterator[None]:
    """Whatever happens to certificates, no key is ever made anew."""
    keys = [digest(client, host, "host.key") for host in HOSTS]
    yield
    assert [digest(client, host, "host.key") for host in HOSTS] == keys


def converge(client: Client, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One run, in the midst of all the words that Ansible can make, none of which may be the passphrase."""
    done = client.playbook(CONVERGE, "--diff", "-vvv", *arguments)
    assert client.secrets["pki_ca_passphrase"] not in done.stdout + done.stderr
    return done


def test_a_certificate_is_renewed_once_and_keeps_its_key(client: Client) -> None:
    validity = ("-e", "pki_certificate_valid_days=20")
    short = converge(client, *validity, "-e", "pki_renew_before_days=185")
    assert short.returncode == 0, short.stdout
    before = digest(client, "pki-13", "host.crt")

    planned = converge(client, "--check")
    assert reasons(planned) == [
        "edge.crt: expires in 19 days",
        "extra.crt: expires in 19 days",
        *["host.crt: expires in 19 days"] * 2,
    ]
    assert digest(client, "pki-13", "host.crt") == before

    renewed = converge(client)
    assert reasons(renewed) == reasons(planned)
    assert digest(client, "pki-13", "host.crt") != before


def test_a_foreign_certificate_is_replaced(client: Client) -> None:
    forge = f"""
        openssl req -x509 -key {PKI}/host.key -days 300 -subj /CN=pki-12 -out {PKI}/host.crt \
          -addext subjectAltName=DNS:pki-12,DNS:app.lab.internal,IP:{client.addresses["pki-12"]}
    """
    client.on("pki-12", "sh", "-ec", forge)
    done = converge(client)
    assert reasons(done) == ["host.crt: was not issued by the environment''s authority"]
    assert changes(done)["pki-13"] == 0


def test_a_damaged_and_a_missing_certificate_are_issued_again(client: Client) -> None:
    client.on("pki-12", "sh", "-c", f"echo broken > {PKI}/host.crt")
    client.on("pki-13", "rm", f"{PKI}/edge.crt")
    done = converge(client)
    assert reasons(done) == ["edge.crt: is not there yet", "host.crt: is not there yet"]


def test_another_authority_on_a_host_is_replaced(client: Client) -> None:
    forge = f"""
        openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -days 300 -out {PKI}/ca.crt \
          -subj '/CN=lab certificate authority' 2>/dev/null
    """
    client.on("pki-12", "sh", "-ec", forge)
    done = converge(client)
    assert reasons(done) == []
    assert changes(done) == {"pki-12": 1, "pki-13": 0}
    authority = (client.inventory / ".pki" / "ca.crt").read_text(encoding="ascii").strip()
    assert client.on("pki-12", "cat", f"{PKI}/ca.crt").strip() == authority


def test_a_new_name_is_added(client: Client) -> None:
    wanted = '{"pki_certificates": [{"name": "extra", "names": ["extra.lab.internal", "192.0.2.7", "more.lab.internal"]}]}'
    done = converge(client, "--limit", "pki-12", "-e", wanted)
    assert reasons(done) == ["extra.crt: is not for more.lab.internal"]
    # A name too many is no reason to issue, so the next run would leave it.
    client.on("pki-12", "rm", f"{PKI}/extra.crt")
    assert reasons(converge(client)) == ["extra.crt: is not there yet"]


def test_a_wrong_passphrase_leaves_all_as_it_is(client: Client) -> None:
    wrong = "this-is-not-the-passphrase-of-the-authority"
    before = digest(client, "pki-12", "host.crt")
    done = client.playbook(
        CONVERGE, "-vvv", "-e", "pki_renew_before_days=185", "-e", f"pki_ca_passphrase={wrong}"
    )
    assert done.returncode != 0
    assert "passphrase" in done.stdout
    assert wrong not in done.stdout.replace(f"pki_ca_passphrase={wrong}", "")
    assert digest(client, "pki-12", "host.crt") == before


def test_renewal_that_would_never_end_is_refused(client: Client) -> None:
    done = client.playbook("validate.yml", "-e", "pki_renew_before_days=180")
    assert done.returncode != 0
    assert re.search(r"^pki_renew_before_days +ORDER", done.stdout, re.MULTILINE)


def test_after_all_that_nothing_is_left_to_do(client: Client) -> None:
    assert set(changes(client.playbook(CONVERGE)).values()) == {0}

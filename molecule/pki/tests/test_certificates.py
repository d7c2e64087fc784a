# SPDX-License-Identifier: GPL-3.0-or-later
"""What the certificates say, who can read the keys, and what a host with anything else gets to hear."""

from __future__ import annotations

import datetime
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from labkit import paths
from labkit.client import Client
from labkit.podman import LabError

PKI = "/etc/hardened/pki"
CERTIFICATES = [("pki-12", "host"), ("pki-12", "extra"), ("pki-13", "host"), ("pki-13", "edge")]
HOSTS = ("pki-12", "pki-13")

pytestmark = pytest.mark.filterwarnings("error")


def wanted_names(client: Client) -> dict[tuple[str, str], set[str]]:
    address = client.addresses
    return {
        ("pki-12", "host"): {"pki-12", address["pki-12"], "app.lab.internal"},
        ("pki-12", "extra"): {"extra.lab.internal", "192.0.2.7"},
        ("pki-13", "host"): {"pki-13", address["pki-13"], "edge.lab.internal", "logs.lab.internal"},
        ("pki-13", "edge"): {client.domain},
    }


def read(client: Client, host: str, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(client.on(host, "cat", f"{PKI}/{name}.crt").encode())


@pytest.mark.parametrize(("host", "name"), CERTIFICATES)
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_accepts_it_for_both_ends(client: Client, host: str, name: str, purpose: str) -> None:
    verify = ("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", f"{PKI}/ca.crt")
    assert client.on(host, *verify, f"{PKI}/{name}.crt").strip() == f"{PKI}/{name}.crt: OK"


@pytest.mark.parametrize(("host", "name"), CERTIFICATES)
def test_it_is_for_exactly_these_names(client: Client, host: str, name: str) -> None:
    names = read(client, host, name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    wanted = wanted_names(client)[host, name]
    is_address = {text: text.replace(".", "").isdigit() for text in wanted}
    assert set(names.get_values_for_type(x509.DNSName)) == {text for text in wanted if not is_address[text]}
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {text for text in wanted if is_address[text]}


@pytest.mark.parametrize(("host", "name"), CERTIFICATES)
def test_it_is_good_for_nothing_else(client: Client, host: str, name: str) -> None:
    certificate = read(client, host, name)
    extensions = certificate.extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert datetime.timedelta(days=179) < life <= datetime.timedelta(days=181)


@pytest.mark.parametrize(("host", "name"), CERTIFICATES)
def test_its_key_is_the_host_s_alone(client: Client, host: str, name: str) -> None:
    assert client.on(host, "stat", "-c", "%U:%G %a", f"{PKI}/{name}.key").strip() == "root:ssl-cert 640"
    public = client.on(host, "openssl", "pkey", "-pubout", "-in", f"{PKI}/{name}.key")
    pem = read(client, host, name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public == pem.decode()
    with pytest.raises(LabError, match="Permission denied"):
        client.on(host, "setpriv", "--reuid=nobody", "--clear-groups", "cat", f"{PKI}/{name}.key")


def test_each_key_is_another(client: Client) -> None:
    keys = {read(client, host, name).public_key().public_numbers() for host, name in CERTIFICATES}  # type: ignore[union-attr]
    assert len(keys) == len(CERTIFICATES)


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_else_lies_there(client: Client, host: str) -> None:
    found = set(client.on(host, "find", PKI, "-type", "f", "-printf", "%P\n").split())
    names = {name for owner, name in CERTIFICATES if owner == host}
    assert found == {"ca.crt"} | {f"{name}.{kind}" for name in names for kind in ("crt", "key")}


def test_the_only_key_on_the_controller_is_the_authority_s_and_it_is_encrypted(client: Client) -> None:
    state = paths.STATE / "pki"
    keys = [path for path in state.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    key = client.inventory / ".pki" / "ca.key"
    assert keys == [key]
    with pytest.raises(TypeError, match="encrypted"):
        load_pem_private_key(key.read_bytes(), None)
    private = load_pem_private_key(key.read_bytes(), client.secrets["pki_ca_passphrase"].encode())
    authority = x509.load_pem_x509_certificate((client.inventory / ".pki" / "ca.crt").read_bytes())
    assert private.public_key() == authority.public_key()
    assert mode(key) == 0o600
    assert mode(key.parent) == 0o700


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_know_the_authority_and_it_signs_hosts_only(client: Client, host: str) -> None:
    pem = client.on(host, "cat", f"{PKI}/ca.crt")
    assert pem.strip() == (client.inventory / ".pki" / "ca.crt").read_text(encoding="ascii").strip()
    constraints = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.BasicConstraints
    )
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


# --- hosts among each other ---

STRANGER = "/run/stranger"
MAKE_STRANGER = f"""
umask 077; mkdir -p {STRANGER}; cd {STRANGER}
new='openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
$new -subj "/CN=lab certificate authority" -keyout ca.key -out ca.crt 2>/dev/null
$new -CA ca.crt -CAkey ca.key -subj "/CN=$1" -addext "subjectAltName=DNS:$1" -keyout host.key -out host.crt 2>/dev/null ||
  {{ openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
       -keyout host.key -out host.csr 2>/dev/null
     openssl x509 -req -in host.csr -copy_extensions copyall -CA ca.crt -CAkey ca.key -days 2 -out host.crt 2>/dev/null; }}
"""
ASK = """
import socket, ssl, sys
address, port, name, authority, *own = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if own:
    context.load_cert_chain(own[0] + "/host.crt", own[0] + "/host.key")
try:
    with context.wrap_socket(socket.create_connection((address, int(port)), 5), server_hostname=name) as tls:
        tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print("served" if tls.recv(100) else "closed")
except OSError as error:
    print(error)
"""
# Port and directory of a server: one as the role made it, one that only claims to be that host.
SERVERS = {4433: PKI, 4434: STRANGER}


@pytest.fixture(scope="module")
def servers(client: Client) -> Iterator[None]:
    for host in HOSTS:
        client.on(host, "sh", "-euc", MAKE_STRANGER, "sh", host)
    for port, directory in SERVERS.items():
        ends = ("-cert", f"{directory}/host.crt", "-key", f"{directory}/host.key", "-CAfile", f"{PKI}/ca.crt")
        serve = ("openssl", "s_server", "-quiet", "-www", "-accept", str(port), "-Verify", "1")
        client.on("pki-13", "systemd-run", f"--unit=tls-{port}", *serve, "-verify_return_error", *ends)
    deadline = time.monotonic() + 10
    while client.on("pki-13", "ss", "-tln").count(":443") < len(SERVERS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield
    for port in SERVERS:
        client.on("pki-13", "systemctl", "stop", f"tls-{port}")
    for host in HOSTS:
        client.on(host, "rm", "-r", STRANGER)


def ask(client: Client, *own: str, port: int = 4433, name: str = "pki-13", authority: str = PKI) -> str:
    address = client.addresses["pki-13"]
    return client.on("pki-12", "python3", "-c", ASK, address, str(port), name, f"{authority}/ca.crt", *own)


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("name", ["pki-13", "edge.lab.internal", "logs.lab.internal", ""])
def test_hosts_accept_each_other_by_every_name(client: Client, name: str) -> None:
    assert ask(client, PKI, name=name or client.addresses["pki-13"]) == "served\n"


@pytest.mark.usefixtures("servers")
def test_a_name_that_is_another_host_s_is_refused(client: Client) -> None:
    assert "Hostname mismatch" in ask(client, PKI, name="app.lab.internal")


@pytest.mark.usefixtures("servers")
def test_a_client_without_a_certificate_is_refused(client: Client) -> None:
    assert "CERTIFICATE_REQUIRED" in ask(client).upper().replace(" ", "_")


@pytest.mark.usefixtures("servers")
def test_a_client_by_another_authority_of_the_same_name_is_refused(client: Client) -> None:
    answer = ask(client, STRANGER)
    assert "served" not in answer
    assert "alert" in answer


@pytest.mark.usefixtures("servers")
def test_a_server_by_another_authority_of_the_same_name_is_refused(client: Client) -> None:
    assert "certificate verify failed" in ask(client, PKI, port=4434)


@pytest.mark.usefixtures("servers")
def test_a_host_that_knows_another_authority_trusts_nobody_here(client: Client) -> None:
    assert "certificate verify failed" in ask(client, PKI, authority=STRANGER)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry host: a real docker-registry behind TLS with the example's image, pushed by digest and signed."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import paths
from .fleet import Fleet
from .podman import podman, run

HOST = "registry-1"
PORT = 5000
EXAMPLES = paths.CHECKOUT / "examples"
CONFIG = f"""version: 0.1
storage:
  filesystem: {{rootdirectory: /var/lib/docker-registry}}
  delete: {{enabled: true}}
http:
  addr: :{PORT}
  tls: {{certificate: /etc/docker/registry/tls.crt, key: /etc/docker/registry/tls.key}}
"""


def prepare(fleet: Fleet, addresses: dict[str, str]) -> dict[str, Any]:
    """Start the registry, push and sign the example's image, and return the inventory variables that name it."""
    state = paths.private_directory(paths.STATE / fleet.name / "registry")
    ca_file = _serve(fleet, addresses[HOST], state)
    image = push(fleet, addresses[HOST], version="1.0.0")
    return {
        "app_image": image,
        "app_image_signature_keys": [(state / "cosign.pub").read_text(encoding="ascii")],
        "container_runtime_registries": [{"host": f"{HOST}:{PORT}", "ca_file": str(ca_file)}],
    }


def push(fleet: Fleet, address: str, version: str, signed: bool = True, package: Path | None = None) -> str:
    """Build a version of the fleet's example, push it and sign it; returns its reference by digest.

    A package takes the place of the example's own code, where the example can do that.
    """
    state = paths.STATE / fleet.name / "registry"
    repository = fleet.example.replace("_", "-")
    layout = paths.STATE / "images" / f"{repository}-{version}"
    # One cache, since the examples have the layer below in common.
    built = ["--output", str(layout), "--cache", str(paths.CACHE / "reference_api"), "--version", version]
    run(
        [
            sys.executable,
            str(EXAMPLES / fleet.example / "build.py"),
            *built,
            *(["--package", str(package)] if package else []),
        ]
    )
    # Pushed by address, since names of the lab's hosts are known to the lab's hosts only.
    destination = [
        "--registry",
        f"{address}:{PORT}",
        "--repository",
        repository,
        "--ca",
        str(state / "ca.crt"),
    ]
    program = EXAMPLES / "reference_api" / "push.py"
    pushed = run([sys.executable, str(program), "--layout", str(layout), *destination]).stdout.strip()
    reference = f"{HOST}:{PORT}/{repository}@{pushed.partition('@')[2]}"
    if signed:
        _sign(fleet, reference, state)
    return reference


def _serve(fleet: Fleet, address: str, state: Path) -> Path:
    ca_file = state / "ca.crt"
    container = fleet.container(HOST)
    if (
        podman("exec", container, "systemctl", "is-active", "docker-registry", check=False).strip()
        != "active"
    ):
        certificate, key = _certificates(state, address)
        _put(container, "/etc/docker/registry/tls.crt", certificate)
        _put(container, "/etc/docker/registry/tls.key", key)
        _put(container, "/etc/docker/registry/config.yml", CONFIG)
        _put(
            container,
            "/usr/local/share/ca-certificates/lab-registry.crt",
            ca_file.read_text(encoding="ascii"),
        )
        podman(
            "exec",
            container,
            "sh",
            "-ec",
            "chgrp docker-registry /etc/docker/registry/tls.key; update-ca-certificates",
        )
        podman("exec", container, "systemctl", "enable", "--now", "docker-registry")
    return ca_file


def _put(container: str, path: str, text: str) -> None:
    mode = "0640" if path.endswith(".key") else "0644"
    podman("exec", "--interactive", container, "install", "-D", "-m", mode, "/dev/stdin", path, stdin=text)


def _sign(fleet: Fleet, reference: str, state: Path) -> None:
    """Sign with a key that stays on the registry host; only its public half comes out."""
    container = fleet.container(HOST)
    if (
        podman("exec", container, "sh", "-c", "test -e /root/cosign.key && echo yes", check=False).strip()
        != "yes"
    ):
        _put(container, "/root/cosign-password.key", secrets.token_urlsafe(24))
        generate = 'cd /root && COSIGN_PASSWORD="$(cat cosign-password.key)" cosign generate-key-pair'
        podman("exec", container, "sh", "-ec", generate)
    sign = 'COSIGN_PASSWORD="$(cat /root/cosign-password.key)" cosign sign --yes --tlog-upload=false --key /root/cosign.key "$1"'
    podman("exec", container, "sh", "-ec", sign, "sign", reference)
    (state / "cosign.pub").write_text(podman("exec", container, "cat", "/root/cosign.pub"), encoding="ascii")


def _certificates(state: Path, address: str) -> tuple[str, str]:
    """A CA of the registry's own, as a company's registry has, and a certificate by it."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lab registry CA")])

    def build(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, ca: bool) -> x509.CertificateBuilder:
        constraints = x509.BasicConstraints(ca=ca, path_length=0 if ca else None)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number()).add_extension(constraints, critical=True)
        lifetime = now - datetime.timedelta(minutes=5), now + datetime.timedelta(days=30)
        builder = builder.not_valid_before(lifetime[0]).not_valid_after(lifetime[1])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        return builder.add_extension(authority, critical=False)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca_certificate = (
        build(ca_name, ca_key.public_key(), ca=True)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address(address))])
    certificate = (
        build(name, key.public_key(), ca=False)
        .add_extension(names, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (state / "ca.crt").write_bytes(ca_certificate.public_bytes(serialization.Encoding.PEM))
    clear = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear)
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()

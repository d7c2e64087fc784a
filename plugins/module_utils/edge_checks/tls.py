# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the edge's TLS: certificate, versions, HTTP/2, and the names it answers to."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.client_hello import offer
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import (
    Failure,
    Target,
    describe,
)

_BY_OPENSSL = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_HTTP2_BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP2_SETTINGS = 4
# Reserved (RFC 6761), so that nobody's certificate is ever for it.
_UNKNOWN_NAME = "verify.invalid"
_PROFILE_FIX = "set reverse_proxy_tls_profile as intended and run deploy.yml, or correct verify_tls_versions"


def unverified() -> ssl.SSLContext:
    """For every check but that of the certificate, so that a bad certificate is one failure and not all of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def handshake(target: Target, context: ssl.SSLContext, name: str = "") -> Iterator[ssl.SSLSocket]:
    with (
        target.connect() as plain,
        context.wrap_socket(plain, server_hostname=name or target.domain) as secure,
    ):
        yield secure


def certificate(target: Target, ca_file: str, days_left: int) -> str:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Failure(
            "the authority's certificate on the controller",
            f"{describe(error)} for {ca_file}",
            "give verify_ca_file, or let role pki make the authority (deploy.yml)",
        ) from error
    issuer = ca_file or "an authority that the controller trusts"
    try:
        with handshake(target, context) as connection:
            peer: dict[str, Any] = dict(connection.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        raise Failure(
            f"a certificate for {target.domain} by {issuer}",
            describe(error),
            "run deploy.yml, by which role pki issues certificates anew; if the authority was made anew, every host"
            " needs a new certificate",
        ) from error
    left = math.floor((ssl.cert_time_to_seconds(str(peer["notAfter"])) - time.time()) / 86400)
    if left < days_left:
        raise Failure(
            f"{days_left} days of validity left",
            f"{left}, until {peer['notAfter']}",
            "run deploy.yml: role pki renews certificates with less than pki_renew_before_days left",
        )
    return f"valid for {target.domain}, {left} days left"


def version_accepted(target: Target, version: str) -> str:
    context = unverified()
    context.minimum_version = context.maximum_version = _BY_OPENSSL[version]
    try:
        with handshake(target, context) as connection:
            return f"accepted, {(connection.cipher() or ('no cipher',))[0]}"
    except (ssl.SSLError, ConnectionError) as error:
        raise Failure(f"TLS {version} accepted", describe(error), _PROFILE_FIX) from error


def version_refused(target: Target, version: str) -> str:
    if version == "1.3":
        return _modern_refused(target)
    with target.connect() as connection:
        reply = offer(connection, version, target.domain)
    if reply.accepted:
        raise Failure(f"TLS {version} refused", reply.detail, _PROFILE_FIX)
    return f"refused: {reply.detail}"


def _modern_refused(target: Target) -> str:
    try:
        detail = version_accepted(target, "1.3")
    except Failure as failure:
        return f"refused: {failure}"
    raise Failure("TLS 1.3 refused", detail, _PROFILE_FIX)


def http2(target: Target) -> str:
    """Negotiated and spoken: a server's first frame is its settings."""
    context = unverified()
    context.set_alpn_protocols(["h2", "http/1.1"])
    fix = "enable http2 in the edge's server block; role reverse_proxy does"
    with handshake(target, context) as connection:
        chosen = connection.selected_alpn_protocol()
        if chosen != "h2":
            raise Failure("HTTP/2 negotiated (ALPN h2)", chosen or "no protocol negotiated", fix)
        connection.sendall(_HTTP2_BEGIN)
        head = connection.recv(9)
    if len(head) < 4 or head[3] != _HTTP2_SETTINGS:
        raise Failure(
            "an HTTP/2 SETTINGS frame", f"{head[:9].hex(' ')}" if head else "the connection closed", fix
        )
    return "negotiated by ALPN and spoken"


def unknown_name(target: Target) -> str:
    try:
        with handshake(target, unverified(), _UNKNOWN_NAME):
            pass
    except (ssl.SSLError, ConnectionError) as error:
        return f"refused: {describe(error)}"
    raise Failure(
        f"no handshake for a name that is not served ({_UNKNOWN_NAME})",
        "a handshake and a certificate",
        "give nginx a default server with ssl_reject_handshake on; role reverse_proxy does",
    )

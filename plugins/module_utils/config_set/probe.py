# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a service to show that it works, again and again until it does or the deadline has passed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from .errors import ProbeError
from .model import ProbeSpec
from .process import run

ONE_TRY = 10.0  # no single attempt may eat the whole deadline


def wait_for(probe: ProbeSpec) -> None:
    """Return as soon as the probe succeeds; ProbeError names the last failure seen."""
    start = time.monotonic()
    while True:
        left = probe.deadline - (time.monotonic() - start)
        failure = attempt(probe, max(0.1, min(ONE_TRY, left)))
        if failure is None:
            return
        if time.monotonic() - start + probe.interval >= probe.deadline:
            raise ProbeError(
                f"probe {describe(probe)} did not succeed within {probe.deadline:g} s; last: {failure}"
            )
        time.sleep(probe.interval)


def describe(probe: ProbeSpec) -> str:
    if probe.command:
        return f"command `{' '.join(probe.command)}`"
    if probe.tcp:
        return f"tcp {probe.tcp}"
    if probe.http:
        return f"http {probe.http['url']}"
    return f"socket {probe.socket}"


def attempt(probe: ProbeSpec, timeout: float) -> str | None:
    """One try; None when it succeeded, else what was observed."""
    if probe.command:
        return _command(probe.command, timeout)
    if probe.tcp:
        return _connect(split_address(probe.tcp), timeout)
    if probe.http:
        return _http(probe.http, timeout)
    return _connect(str(probe.socket), timeout)


def split_address(text: str) -> tuple[str, int]:
    """host:port, the host possibly an IPv6 address in brackets."""
    host, _separator, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"'{text}' is not host:port")
    return host.strip("[]"), int(port)


def _command(argv: Sequence[str], timeout: float) -> str | None:
    done = run(argv, timeout)
    return None if done.rc == 0 else f"exit code {done.rc}: {done.words}"


def _connect(address: Any, timeout: float) -> str | None:
    import socket

    try:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(address)
        else:
            socket.create_connection(address, timeout).close()
    except OSError as error:
        return str(error)
    return None


def _http(wanted: dict[str, Any], timeout: float) -> str | None:
    """One request to this very service: neither a proxy nor a redirect may answer in its place."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    url = urlsplit(wanted["url"])
    host = url.hostname or ""
    connection: http.client.HTTPConnection
    try:
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=wanted.get("ca_file"))
            connection = http.client.HTTPSConnection(host, url.port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(host, url.port, timeout=timeout)
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("GET", path, headers=wanted.get("headers") or {})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    expected = wanted.get("status") or [200]
    return None if status in expected else f"status {status}, expected {' or '.join(map(str, expected))}"

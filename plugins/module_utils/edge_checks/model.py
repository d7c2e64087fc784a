# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at, what is found, and how one check is run."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

_UNREACHED = (
    "look whether nginx runs on the edge (systemctl status nginx), whether a firewall lets this machine in, and"
    " whether the inventory has the right address"
)


@dataclass(frozen=True)
class Target:
    """An edge, and the name that it is asked for."""

    address: str
    domain: str
    port: int = 443
    http_port: int = 80
    timeout: float = 5.0

    @property
    def host_header(self) -> str:
        return self.domain if self.port == 443 else f"{self.domain}:{self.port}"

    def connect(self, port: int = 0) -> socket.socket:
        return socket.create_connection((self.address, port or self.port), self.timeout)


class Failure(Exception):
    """A property that does not hold."""

    def __init__(self, expected: str, seen: str, fix: str) -> None:
        super().__init__(f"expected {expected}; saw {seen}")
        self.fix = fix


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str
    duration_ms: float
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "duration_ms": self.duration_ms}

    def problem(self) -> dict[str, str]:
        """In the form in which all of this collection's checks report."""
        return {"variable": self.name, "code": "VERIFY", "message": self.detail, "fix": self.fix}


def run(name: str, judge: Callable[[], str]) -> Check:
    """`judge` returns what it saw when all is well."""
    started = time.perf_counter()
    ok, fix = True, ""
    try:
        detail = judge()
    except Failure as failure:
        ok, detail, fix = False, str(failure), failure.fix
    except (OSError, HTTPException) as error:
        ok, detail, fix = False, f"expected an answer; saw {describe(error)}", _UNREACHED
    return Check(name, ok, detail, round((time.perf_counter() - started) * 1000, 1), fix)


def describe(error: Exception) -> str:
    """An exception in words, without Python's decoration."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"a certificate that does not verify ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"a failed handshake ({(error.reason or str(error)).lower().replace('_', ' ')})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionResetError):
        return "the connection reset"
    if isinstance(error, OSError):
        return f"'{error.strerror or error}'"
    return f"a broken answer ({type(error).__name__})"

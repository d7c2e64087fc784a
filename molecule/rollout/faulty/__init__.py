# SPDX-License-Identifier: GPL-3.0-or-later
"""httpbin as a release that is not as good as the one before it, in the way that its environment says."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from httpbin import app as httpbin

READY = "/status/200"
ERRORS = float(os.environ.get("FAULT_ERRORS", "0"))
DENIED = float(os.environ.get("FAULT_DENIED", "0"))
SLOWER = float(os.environ.get("FAULT_SLOWER", "1"))
# Seconds after its start from which it is bad.
AFTER = float(os.environ.get("FAULT_AFTER", "0"))
BEGAN = time.monotonic()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    began = time.monotonic()
    if environ["PATH_INFO"] != READY and began - BEGAN > AFTER:
        drawn = random.random()  # noqa: S311 - a fault is no secret
        if drawn < ERRORS:
            return _answer(start_response, "500 Internal Server Error")
        if drawn < ERRORS + DENIED:
            return _answer(start_response, "403 Forbidden")
    body = list(httpbin(environ, start_response))
    time.sleep((time.monotonic() - began) * (SLOWER - 1))
    return body


def _answer(start_response: Callable[..., Any], status: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"bad\n"]

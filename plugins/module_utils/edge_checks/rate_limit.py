# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for more than the rate limit allows, and no more than that takes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.exchange import Answer, Client
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import (
    Failure,
    Target,
    describe,
)

_CONNECTIONS = 8
_FIX = (
    "look at reverse_proxy_rate_limit and its burst; when this machine's address is exempt"
    " (reverse_proxy_rate_limit_exempt) or the limit is above verify_rate_limit_burst requests, raise"
    " verify_rate_limit_burst or set it to 0, which leaves this check out"
)


class _Burst:
    def __init__(self, target: Target, path: str, most: int) -> None:
        self._target = target
        self._path = path
        self._left = most
        self._lock = threading.Lock()
        self.limited: Answer | None = None
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for _number in range(_CONNECTIONS):
                pool.submit(self._one_connection)

    def _take(self) -> bool:
        with self._lock:
            if self.limited or self._left <= 0:
                return False
            self._left -= 1
            return True

    def _one_connection(self) -> None:
        with Client(self._target) as client:
            while self._take():
                try:
                    answer = client.ask(self._path, label="the rate limit's answer")
                except (OSError, HTTPException) as error:
                    with self._lock:
                        self.seen[describe(error)] += 1
                    continue
                with self._lock:
                    self.seen[str(answer.status)] += 1
                    if answer.status == 429:
                        self.limited = self.limited or answer


def rate_limit(target: Target, path: str, most: int, answers: dict[str, Answer]) -> str:
    """Adds the refusal to `answers`: it needs its headers as well."""
    burst = _Burst(target, path, most)
    started = time.perf_counter()
    burst.run()
    sent, took = sum(burst.seen.values()), time.perf_counter() - started
    if burst.limited:
        answers["rate_limit"] = burst.limited
        return f"429 within {sent} requests"
    seen = ", ".join(f"{count} times {what}" for what, count in burst.seen.most_common())
    if burst.seen["503"]:
        raise Failure("429 for requests above the rate limit", seen, "set limit_req_status 429 on the edge")
    raise Failure(f"429 within {most} requests to {path}", f"{seen} in {took:.1f} s", _FIX)

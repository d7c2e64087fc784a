# SPDX-License-Identifier: GPL-3.0-or-later
"""The API's own rate limit: a second line behind the edge's, in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from .config import RateLimit

REMEMBERED = 10_000  # keys; the one idle longest is forgotten first


class RateLimiter:
    """Token buckets: bursts up to the limit, refilled evenly."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = float(limit.requests)
        self.per_second = limit.requests / limit.seconds
        self.clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> float:
        """Take one token and return 0, or the seconds until there is one."""
        now = self.clock()
        tokens, seen = self._buckets.pop(name, (self.capacity, now))
        tokens = min(self.capacity, tokens + (now - seen) * self.per_second)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second

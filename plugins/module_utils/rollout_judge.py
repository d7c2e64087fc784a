# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a release may go on: how it answers beside the one before it, in the same time; free of Ansible and of the host.

A canary differs from the stable release by chance too, most of all while it has few requests. So a rate is judged by Fisher's exact
test, and counts as worse only if it is so by more than a tolerance as well. The test is made again with every look, which is why the
odds that it accepts are far below what a single look would need: see ALPHA.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
# Odds of a false alarm for one metric at one look. A release has some thousand of them, which are anything but independent.
ALPHA = 1e-5
# Buckets of latencies grow by a twentieth, from a millisecond on.
_GROWTH = math.log(1.05)
_UNITS_MAX = 20000
_EVENTS = ("server_errors", "denied", "waf_blocked", "rate_limited")


@dataclass(frozen=True)
class Metric:
    """What is compared, and what makes it worse.

    :param tolerance: a difference of rates (0 to 1) that never matters.
    :param limit: a rate that fails whatever the stable release does; none with 1.
    :param quantile: for latencies, which one; the rest of a metric of rates is not used then.
    :param ratio: for latencies, how many times slower does not matter.
    :param floor: for latencies, how many seconds more never matter.
    """

    event: str
    words: str
    tolerance: float = 0.0
    limit: float = 1.0
    fewer: bool = False
    quantile: float = 0.0
    ratio: float = 0.0
    floor: float = 0.0
    watched: bool = False
    dry_run: bool = False


METRICS: dict[str, Metric] = {
    "server_errors": Metric("server_errors", "answered with 5xx", 0.01, 0.1, watched=True),
    "latency_p95": Metric("latency", "slower", quantile=0.95, ratio=1.5, floor=0.02, watched=True),
    "latency_p99": Metric("latency", "slower", quantile=0.99, ratio=2.0, floor=0.05),
    "denied": Metric("denied", "answered with 401 or 403 by the application", 0.05),
    # What was refused and no longer is, is worse than an error.
    "admitted": Metric("denied", "answered with 401 or 403 by the application", 0.05, fewer=True),
    "waf_blocked": Metric("waf_blocked", "blocked by the firewall", 0.05),
    "rate_limited": Metric("rate_limited", "answered with 429", 0.05),
}
# What the settings of an environment may say of each.
ADJUSTABLE = ("tolerance", "limit", "ratio", "floor", "dry_run")


def metrics(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Metric]:
    """The metrics with what an environment says of them instead."""
    return {
        name: Metric(
            **{
                **metric.__dict__,
                **{key: value for key, value in settings.get(name, {}).items() if key in ADJUSTABLE},
            }
        )
        for name, metric in METRICS.items()
    }


@dataclass
class Tally:
    """How one side has answered. Where clients stay on their side, one client counts once, however often it asks.

    :param sticky: whether they do; a single one that does something odd would else look like the release.
    """

    sticky: bool = False
    requests: int = 0
    probes: int = 0
    events: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    clients: dict[str, set[str]] = field(default_factory=dict)

    def add(self, line: Mapping[str, Any], cold: bool = False) -> None:
        """One line of the edge's access log. What came while the release was `cold` says nothing of its speed."""
        self.requests += 1
        attempts = [
            part for part in str(line.get("upstream_status", "")).replace(":", ",").split(",") if part.strip()
        ]
        status = int(line.get("status") or 0)
        happened = {
            # One that another host could make good is one all the same.
            "server_errors": status >= 500 or any(_number(part) >= 500 for part in attempts),
            "denied": status in (401, 403) and bool(attempts),
            "waf_blocked": line.get("waf") == "blocked",
            "rate_limited": status == 429,
        }
        client = str(line.get("key_id") or line.get("client") or "")
        for event in (name for name, is_so in happened.items() if is_so):
            self.events[event] += 1
            self._count(event, client)
        self._count("", client)
        seconds = _seconds(line)
        if seconds is not None and not cold:
            self.latencies[bucket(seconds)] += 1

    def add_probe(self, seconds: float, failed: bool) -> None:
        """One request of our own, made because there are too few others."""
        self.probes += 1
        self.events["server_errors"] += failed
        self._count("", f"probe {self.probes}")
        if failed:
            self._count("server_errors", f"probe {self.probes}")
        else:
            self.latencies[bucket(seconds)] += 1

    def _count(self, event: str, client: str) -> None:
        if self.sticky:
            seen = self.clients.setdefault(event, set())
            if len(seen) < _UNITS_MAX:
                seen.add(client)

    @property
    def size(self) -> int:
        return len(self.clients.get("", ())) if self.sticky else self.requests + self.probes

    def count(self, event: str) -> int:
        return len(self.clients.get(event, ())) if self.sticky else self.events[event]

    def summary(self) -> dict[str, Any]:
        """As a record keeps it, and what `Summed` is made of."""
        return {
            "requests": self.requests,
            "probes": self.probes,
            "size": self.size,
            "events": {event: self.count(event) for event in _EVENTS},
            "latencies": {str(key): count for key, count in sorted(self.latencies.items())},
        }


@dataclass(frozen=True)
class Side:
    """What one or several edges have counted of one side."""

    size: int
    requests: int
    events: Mapping[str, int]
    latencies: Mapping[int, int]

    def quantile(self, share: float) -> float:
        """Seconds that the given share of the answers took at most; 0 of none."""
        wanted = share * sum(self.latencies.values())
        reached = 0
        for key in sorted(self.latencies):
            reached += self.latencies[key]
            if reached >= wanted:
                return upper(key)
        return 0.0

    def slower_than(self, seconds: float) -> int:
        return sum(count for key, count in self.latencies.items() if upper(key) > seconds)


def side(summaries: Iterable[Mapping[str, Any]]) -> Side:
    """The sum over the edges."""
    size = requests = 0
    events: Counter[str] = Counter()
    latencies: Counter[int] = Counter()
    for summary in summaries:
        size += int(summary.get("size", 0))
        requests += int(summary.get("requests", 0))
        events.update({str(key): int(value) for key, value in (summary.get("events") or {}).items()})
        latencies.update({int(key): int(value) for key, value in (summary.get("latencies") or {}).items()})
    return Side(size, requests, events, latencies)


def judge(
    canary: Side, stable: Side, wanted: Mapping[str, Metric], min_requests: int, watching: bool = False
) -> dict[str, Any]:
    """Compare, and say why.

    :param min_requests: a side with fewer answers is not judged against the other; limits hold from the first one on.
    :param watching: there is no stable release any more, only what was counted of it before: clients may have changed meanwhile, so
        what they bring about does not count.
    :returns: ``verdict`` (pass, fail, inconclusive), ``reasons`` (texts), and ``metrics`` with figures of both sides.
    """
    if watching:
        wanted = {name: _loosened(metric) for name, metric in wanted.items()}
    judged = {
        name: _of_rates(metric, canary, stable, min_requests)
        if not metric.quantile
        else _of_latency(metric, canary, stable, min_requests)
        for name, metric in wanted.items()
        if metric.watched or not watching
    }
    deciding = {name: one for name, one in judged.items() if not wanted[name].dry_run}
    failed = [f"{name}: {one['words']}" for name, one in deciding.items() if one["verdict"] == FAIL]
    reasons = failed or sorted({one["words"] for one in deciding.values() if one["verdict"] == INCONCLUSIVE})
    verdict = FAIL if failed else INCONCLUSIVE if reasons else PASS
    return {
        "verdict": verdict,
        "reasons": reasons,
        "requests": {"canary": canary.requests, "stable": stable.requests},
        "metrics": judged,
    }


def _loosened(metric: Metric) -> Metric:
    """Beside what was counted some minutes ago only what is grossly worse is the release's: the load is another one by now."""
    return replace(
        metric,
        tolerance=max(metric.tolerance, 0.05),
        ratio=metric.ratio * 4,
        floor=max(metric.floor, 0.5),
    )


def _of_rates(metric: Metric, canary: Side, stable: Side, min_requests: int) -> dict[str, Any]:
    there, here = stable.events.get(metric.event, 0), canary.events.get(metric.event, 0)
    rates = {"canary": _rate(here, canary.size), "stable": _rate(there, stable.size)}
    said = f"{rates['canary']:.1%} of {canary.size} {metric.words}, {rates['stable']:.1%} of {stable.size} by the release before"
    if metric.limit < 1 and at_least(here, canary.size, metric.limit) < ALPHA:
        return {**rates, "verdict": FAIL, "words": f"{said}; more than the limit of {metric.limit:.0%}"}
    if canary.size < min_requests or stable.size < min_requests:
        return {**rates, "verdict": INCONCLUSIVE, "words": _few(canary, stable, min_requests)}
    difference = rates["stable"] - rates["canary"] if metric.fewer else rates["canary"] - rates["stable"]
    if metric.fewer:
        odds = more_often(there, stable.size, here, canary.size)
    else:
        odds = more_often(here, canary.size, there, stable.size)
    return {
        **rates,
        "verdict": FAIL if difference > metric.tolerance and odds < ALPHA else PASS,
        "words": said,
    }


def _of_latency(metric: Metric, canary: Side, stable: Side, min_requests: int) -> dict[str, Any]:
    """Whether more of the canary's answers are slow than of the stable release's; what is slow, that one's own quantile says."""
    seconds = {"canary": canary.quantile(metric.quantile), "stable": stable.quantile(metric.quantile)}
    here, there = sum(canary.latencies.values()), sum(stable.latencies.values())
    if here < min_requests or there < min_requests:
        return {**seconds, "verdict": INCONCLUSIVE, "words": _few(canary, stable, min_requests)}
    slow = max(seconds["stable"] * metric.ratio, seconds["stable"] + metric.floor)
    odds = more_often(canary.slower_than(slow), here, stable.slower_than(slow), there)
    percent = f"{metric.quantile:.0%}"
    return {
        **seconds,
        "verdict": FAIL if seconds["canary"] > slow and odds < ALPHA else PASS,
        "words": f"{percent} of the answers took up to {seconds['canary']:.3f} s, {seconds['stable']:.3f} s those of the release before",
    }


def _few(canary: Side, stable: Side, min_requests: int) -> str:
    which = "the release before" if canary.size >= min_requests else "the new release"
    return f"{which} has answered {min(canary.size, stable.size)} requests, fewer than {min_requests}"


def more_often(here: int, of_here: int, there: int, of_there: int) -> float:
    """Odds that `here` of `of_here` or more would happen if both sides were the same: Fisher's exact test, one-sided."""
    happened, total = here + there, of_here + of_there
    if not happened or not of_here:
        return 1.0
    whole = _choose(total, of_here)
    odds = 0.0
    for number in range(here, min(happened, of_here) + 1):
        if of_here - number > total - happened:
            continue
        term = math.exp(_choose(happened, number) + _choose(total - happened, of_here - number) - whole)
        odds += term
        if term < odds * 1e-9:  # beyond the peak, and nothing comes after
            break
    return min(1.0, odds)


def at_least(number: int, of: int, rate: float) -> float:
    """Odds that so many or more happen where each does with the given rate: the binomial distribution's upper tail."""
    if number <= rate * of:
        return 1.0
    odds = 0.0
    for one in range(number, of + 1):
        term = math.exp(_choose(of, one) + one * math.log(rate) + (of - one) * math.log1p(-rate))
        odds += term
        if term < odds * 1e-9:
            break
    return min(1.0, odds)


def _choose(total: int, of: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(of + 1) - math.lgamma(total - of + 1)


def bucket(seconds: float) -> int:
    return max(0, math.ceil(math.log(max(seconds, 0.001) / 0.001) / _GROWTH))


def upper(key: int) -> float:
    """The longest time that a bucket holds, in seconds."""
    return 0.001 * math.exp(key * _GROWTH)


def _rate(number: int, of: int) -> float:
    return round(number / of, 6) if of else 0.0


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def _seconds(line: Mapping[str, Any]) -> float | None:
    """What the application took, without the way to it: a release with few requests has more handshakes."""
    try:
        took = _sum(line["upstream_seconds"]) - _sum(line.get("upstream_connect_seconds", ""))
    except (KeyError, ValueError):
        return None
    return max(0.0, took) if line["upstream_seconds"] else None


def _sum(text: Any) -> float:
    return sum(
        float(part) for part in str(text).replace(":", ",").split(",") if part.strip() not in ("", "-")
    )


def parse(raw: bytes) -> dict[str, Any] | None:
    """A line of the access log; none of what is none."""
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None

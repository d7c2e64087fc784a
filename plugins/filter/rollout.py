# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that decide for all edges together whether a release goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import rollout_judge

_OUTCOMES = {"hold": "held", "promote": "go", "abort": "failed"}


def rollout_verdict(
    edges: Sequence[Mapping[str, Any]],
    slots: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, Any]],
    min_requests: int,
    inconclusive: str = "hold",
    hold: bool = False,
) -> dict[str, Any]:
    """See rollout_verdict.yml."""
    steps = {str(one["inventory_hostname"]): one.get("_rollout_step") or {} for one in edges}
    reasons = [reason for name, step in steps.items() for reason in _against_edge(name, step)]
    reasons += [reason for one in slots for reason in _against_slot(one)]
    weight = max((int((step.get("rollout") or {}).get("weight", 0)) for step in steps.values()), default=0)
    if reasons:
        return {"outcome": "failed", "reasons": reasons, "line": "; ".join(reasons), "weight": weight}
    judged = rollout_judge.judge(
        rollout_judge.side([step["canary"] for step in steps.values()]),
        rollout_judge.side([step["stable"] for step in steps.values()]),
        rollout_judge.metrics(metrics),
        int(min_requests),
    )
    outcome = {rollout_judge.PASS: "go", rollout_judge.FAIL: "failed"}.get(
        judged["verdict"], _OUTCOMES[inconclusive]
    )
    if hold and outcome == "go":
        outcome = "held"
    return {"outcome": outcome, "reasons": judged["reasons"], "line": _line(judged, steps), "weight": weight}


def rollout_broken(edges: Sequence[Mapping[str, Any]], answering: Sequence[str]) -> list[str]:
    """See rollout_broken.yml."""
    broken = []
    for one in edges:
        name = str(one["inventory_hostname"])
        if one.get("_rollout_broken"):
            broken.append(f"{name}: {one['_rollout_broken']}")
        elif name not in answering:
            broken.append(f"{name}: does not answer any more")
    return broken


def _against_edge(name: str, step: Mapping[str, Any]) -> list[str]:
    if step.get("failed") or step.get("unreachable") or "canary" not in step:
        return [f"{name}: {step.get('msg') or 'does not answer any more'}"]
    record = step["rollout"]
    # It has gone back by itself, which is never to be overruled.
    return [] if record["phase"] == "canary" else [f"{name}: {record['reason']}"]


def _against_slot(result: Mapping[str, Any]) -> list[str]:
    name = result.get("item", "")
    if result.get("failed") or result.get("unreachable"):
        return [f"{name}: {result.get('msg') or 'does not answer any more'}"]
    container = result.get("container") or {}
    if container.get("oom_killed"):
        return [f"{name}: its container was ended for want of memory"]
    if container.get("restarts"):
        return [
            f"{name}: its container has ended by itself {container['restarts']} times, last with status {container['exit_code']}"
        ]
    return [] if container.get("running") else [f"{name}: its container does not run"]


def _line(judged: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> str:
    asked = judged["requests"]
    probes = sum(int(step["canary"].get("probes", 0)) for step in steps.values())
    slow = judged["metrics"]["latency_p95"]
    wrong = judged["metrics"]["server_errors"]
    line = (
        f"{judged['verdict']}; {asked['canary']} requests beside {asked['stable']}, and {probes} of our own; 95 % within "
        f"{slow['canary']:.3f} s beside {slow['stable']:.3f} s; {wrong['canary']:.1%} beside {wrong['stable']:.1%} answered with 5xx"
    )
    return line + "".join(f"; {reason}" for reason in judged["reasons"])


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rollout_broken": rollout_broken, "rollout_verdict": rollout_verdict}

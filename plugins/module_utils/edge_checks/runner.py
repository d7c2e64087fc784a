# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of one edge, side by side where one does not spoil another."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks import answers as judge
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks import tls
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.exchange import Answer, fetch
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import Target, run
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.rate_limit import rate_limit

_WORKERS = 8
_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
_Job = tuple[str, Callable[[], str]]


@dataclass(frozen=True)
class Wanted:
    """What must hold. An empty path, or 0, leaves the check out."""

    ca_file: str = ""
    certificate_days_left: int = 0
    tls_versions: Sequence[str] = ("1.2", "1.3")
    health_path: str = ""
    ready_path: str = ""
    protected_paths: Sequence[dict[str, Any]] = ()
    attack_path: str = ""
    required_headers: Sequence[dict[str, str]] = ()
    rate_limit_path: str = ""
    rate_limit_burst: int = 0


@dataclass
class _Edge:
    target: Target
    wanted: Wanted
    answers: dict[str, Answer] = field(default_factory=dict)

    def transport(self) -> list[_Job]:
        target, wanted = self.target, self.wanted
        jobs: list[_Job] = [
            ("certificate", partial(tls.certificate, target, wanted.ca_file, wanted.certificate_days_left)),
            ("http2", partial(tls.http2, target)),
            ("unknown_name", partial(tls.unknown_name, target)),
        ]
        for version in _VERSIONS:
            judged = tls.version_accepted if version in wanted.tls_versions else tls.version_refused
            jobs.append((f"tls_{version}", partial(judged, target, version)))
        return jobs

    def requests(self) -> list[_Job]:
        wanted = self.wanted
        jobs = [
            self._request(name, path, "GET", [200], why)
            for name, path, why in (
                ("health", wanted.health_path, "the API is alive"),
                ("ready", wanted.ready_path, "the API and what it needs are ready"),
            )
            if path
        ]
        # A path that nobody has, for the headers of an error that is nobody's fault.
        nowhere = f"/verify-{secrets.token_hex(6)}"
        jobs.append(self._request("unknown_path", nowhere, "GET", [401, 403, 404], "there is no such path"))
        jobs += [
            self._request(
                f"protected {item['method']} {item['path']}",
                item["path"],
                item["method"],
                item["status"],
                "no key was sent",
            )
            for item in wanted.protected_paths
        ]
        if wanted.attack_path:
            jobs.append(("attack", self._attack))
        return jobs

    def _attack(self) -> str:
        answer = self.answers["attack"] = fetch(self.target, self.wanted.attack_path, "GET")
        return judge.attack_refused(answer)

    def _request(self, name: str, path: str, method: str, allowed: Sequence[int], why: str) -> _Job:
        def ask() -> str:
            answer = self.answers[name] = fetch(self.target, path, method)
            return judge.expect_status(answer, allowed, why)

        return name, ask

    def plain_http(self) -> list[_Job]:
        path = self.wanted.health_path or "/"
        return [("redirect", partial(judge.redirect, self.target, path))] if self.target.http_port else []

    def burst(self) -> list[_Job]:
        path, most = self.wanted.rate_limit_path, self.wanted.rate_limit_burst
        wanted = path and most
        return [("rate_limit", partial(rate_limit, self.target, path, most, self.answers))] if wanted else []

    def common(self, order: Sequence[str]) -> list[_Job]:
        given = [self.answers[name] for name in order if name in self.answers]
        if not given:
            return []
        return [
            ("server_version", partial(judge.server_version, given)),
            ("request_id", partial(judge.request_id, given)),
            *(
                (f"header {item['name']}", partial(judge.header, given, item["name"], item["pattern"]))
                for item in self.wanted.required_headers
            ),
        ]


def verify(target: Target, wanted: Wanted) -> dict[str, Any]:
    """checks, problems, request_id, request_ids, started."""
    edge = _Edge(target, wanted)
    started = time.time()
    checks = [run("connect", lambda: _connect(target))]
    reached = checks[0].ok
    with ThreadPoolExecutor(_WORKERS) as pool:
        jobs = edge.plain_http() + (edge.transport() + edge.requests() if reached else [])
        checks += pool.map(lambda job: run(*job), jobs)
    if reached:
        # Last of all requests, because it uses up what the others need.
        checks += [run(*job) for job in edge.burst()]
        checks += [run(*job) for job in edge.common([check.name for check in checks])]
    return {
        "checks": [check.as_dict() for check in checks],
        "problems": [check.problem() for check in checks if not check.ok],
        "request_id": _logged(edge.answers),
        "request_ids": {
            name: answer.request_id for name, answer in edge.answers.items() if answer.request_id
        },
        "started": started,
    }


def _connect(target: Target) -> str:
    target.connect().close()
    return f"{target.address} port {target.port}"


def _logged(answers: dict[str, Answer]) -> str:
    """Of a request that reached the API for certain: one that it refused, otherwise its health."""
    refused = [
        name for name, answer in answers.items() if name.startswith("protected ") and answer.status == 401
    ]
    for name in (*refused, "health", "ready"):
        if name in answers and answers[name].request_id:
            return answers[name].request_id
    return ""

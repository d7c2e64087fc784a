# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of single answers, and of what all answers have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.exchange import Answer, Client
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import Failure, Target

_REDIRECTS = (301, 308)
_REFUSED = 403
_CAUSES = {
    400: "nginx refused the request itself: look at hardened_domain and at the edge's error log",
    404: "the API has no such path: correct the path (see docs/verify.md)",
    421: "the edge serves another name: compare hardened_domain with the edge's server_name",
    429: "the rate limit is used up by other clients of this address, or lower than a few requests: look at"
    " reverse_proxy_rate_limit",
    500: "the API failed: look for the request id in its log on the collector",
    502: "no app host answered: look at hardened-app@blue and hardened-app@green there, and at the edge's error log",
    503: "the API is not ready, or no slot has a release: look at the body of the answer and at the app hosts",
    504: "the app hosts are too slow or a firewall drops the edge's packets: look at the edge's error log",
}
_OTHER_CAUSE = "look for the request id in the logs on the collector, and at the edge's error log"
# Names of programs followed by a number, as on the error pages of servers.
_VERSION = re.compile(
    rb"(?i)\b(?:nginx|openresty|apache|uvicorn|gunicorn|hypercorn|python|werkzeug|php)/\d[\w.]*"
)
_TELLTALES = ("X-Powered-By", "X-AspNet-Version", "X-Runtime")
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,127}")


def expect_status(answer: Answer, allowed: Sequence[int], what: str) -> str:
    if answer.status in allowed:
        return f"{answer.status}"
    expected = f"{answer.label} to answer {_either(allowed)} ({what})"
    fix = _CAUSES.get(answer.status, _OTHER_CAUSE)
    if answer.status < 400 and min(allowed) >= 400:
        fix = "the path is open to everybody: take the release back (rollback.yml) and repair the API's key check"
    raise Failure(expected, f"{answer.status}{_excerpt(answer.body)}", fix)


def attack_refused(answer: Answer) -> str:
    """By the firewall, whatever there is at that path: an open one would answer 200, an unknown one 404."""
    if answer.status == _REFUSED:
        return f"{answer.status}"
    raise Failure(
        f"{answer.label} to answer {_REFUSED} (it is an attack)",
        f"{answer.status}{_excerpt(answer.body)}",
        "let the firewall enforce (reverse_proxy_waf_mode), and look at reverse_proxy_waf_exclusions; where it is only to detect,"
        " an empty verify_attack_path leaves this check out",
    )


def redirect(target: Target, path: str) -> str:
    """Plain HTTP serves nothing but the way to HTTPS."""
    with Client(target, tls=False) as client:
        answer = client.ask(path)
    location, wanted = answer.header("Location"), f"https://{target.host_header}{path}"
    if answer.status in _REDIRECTS and location == wanted:
        return f"{answer.status} to {location}"
    raise Failure(
        f"http to answer {_either(_REDIRECTS)} to {wanted}",
        f"{answer.status}" + (f" to {location}" if location else ""),
        "let the edge's port 80 answer with a permanent redirect only; role reverse_proxy does",
    )


def header(answers: Sequence[Answer], name: str, pattern: str) -> str:
    wrong: dict[str, list[str]] = {}
    for answer in answers:
        values = [str(value).strip() for value in answer.headers.get_all(name) or []]
        if not values:
            wrong.setdefault("missing", []).append(_named(answer))
        elif len(values) > 1:
            wrong.setdefault(f"sent {len(values)} times", []).append(_named(answer))
        elif not re.search(pattern, values[0], re.IGNORECASE):
            wrong.setdefault(f"'{values[0]}'", []).append(_named(answer))
    if not wrong:
        return f"'{answers[0].header(name)}' on {len(answers)} answers"
    told = f" matching /{pattern}/" if pattern else ""
    raise Failure(
        f"{name}{told} once on every answer",
        "; ".join(f"{what} on {_list(labels)}" for what, labels in wrong.items()),
        "role reverse_proxy sets it (reverse_proxy_headers). Missing only on errors: add_header lacks 'always'. Sent"
        " twice: the API sends it as well, hide that one. Not wanted: verify_required_headers",
    )


def server_version(answers: Sequence[Answer]) -> str:
    found: dict[str, list[str]] = {}
    for answer in answers:
        server = answer.header("Server")
        if re.search(r"\d", server):
            found.setdefault(f"Server: {server}", []).append(_named(answer))
        for name in _TELLTALES:
            if answer.header(name):
                found.setdefault(f"{name}: {answer.header(name)}", []).append(_named(answer))
        for match in set(_VERSION.findall(answer.body)):
            found.setdefault(f"'{match.decode()}' in the body", []).append(_named(answer))
    if not found:
        return f"'{answers[0].header('Server') or 'no Server header'}' on {len(answers)} answers"
    raise Failure(
        "no version of any software in an answer",
        "; ".join(f"{what} on {_list(labels)}" for what, labels in found.items()),
        "set server_tokens off on the edge (role reverse_proxy does), and hide the API's own header there",
    )


def request_id(answers: Sequence[Answer]) -> str:
    wrong = []
    for answer in answers:
        values = answer.headers.get_all("X-Request-ID") or []
        if len(values) != 1:
            wrong.append(f"{f'{len(values)} of them' if values else 'none'} on {_named(answer)}")
        elif not _REQUEST_ID.fullmatch(answer.request_id):
            wrong.append(f"'{answer.request_id}' on {_named(answer)}")
    ids = [answer.request_id for answer in answers]
    repeated = sorted({value for value in ids if value and ids.count(value) > 1})
    wrong += [f"{value} on {ids.count(value)} different answers" for value in repeated]
    if not wrong:
        return f"{len(answers)} answers, each with its own"
    raise Failure(
        "one X-Request-ID of its own on every answer",
        "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""),
        "let the edge set it from $request_id, with 'always', and hide the one that the API sends",
    )


def _named(answer: Answer) -> str:
    return f"{answer.label} ({answer.status})"


def _list(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:3])
    return shown + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")


def _either(values: Sequence[int]) -> str:
    return " or ".join(str(value) for value in values)


def _excerpt(body: bytes) -> str:
    """The beginning of what it says, without markup."""
    words = " ".join(re.sub(r"<[^>]*>", " ", body[:1024].decode(errors="replace")).split())
    return f" with '{words[:160]}'" if words else ""

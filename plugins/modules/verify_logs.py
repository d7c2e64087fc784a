#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify_logs
short_description: Waits until log lines of given requests have arrived on a collector
version_added: 0.1.0
description:
  - Looks for request ids in the JSON lines that role C(log_collector) stores as C(HOST/STREAM.jsonl), until all were
    found or the deadline has passed.
  - Only the ends of files that have just been written to are read, however large they are.
  - A line counts when a field C(request_id) of it, at any depth, has the value. A line that only contains the value
    somewhere does not, because nobody would find it by its request.
options:
  request_ids:
    description:
      - The values of C(X-Request-ID) that the edge answered with, see M(techsaas.hardened.verify_edge).
    type: list
    elements: str
    required: true
  deadline:
    description:
      - Seconds to wait for lines that are not there yet.
    type: float
    default: 5.0
  directory:
    description:
      - Where the collector stores what it receives.
    type: path
    default: /var/log/hardened
  streams:
    description:
      - Names of streams to look in, C(*) standing for any text. By default all.
    type: list
    elements: str
    default: []
  hosts:
    description:
      - Names of hosts from which a line counts, C(*) standing for any text. By default all. Give those of the API, because
        the edge logs the same request by itself.
    type: list
    elements: str
    default: []
  started:
    description:
      - When the requests were made, in seconds since 1970 by the controller's clock, to tell the lines' latency.
    type: float
  fail:
    description:
      - Whether a missing line, or a host that cannot be reached, fails the task.
      - With V(false) they are returned as RV(problems), so that M(techsaas.hardened.verify_report) can tell everything
        at once.
    type: bool
    default: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
seealso:
  - module: techsaas.hardened.verify_edge
  - module: techsaas.hardened.verify_report
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: The refusal of a moment ago is in the log
  techsaas.hardened.verify_logs:
    request_ids:
      - "{{ hostvars['edge-1'].verified.request_id }}"
"""

RETURN = r"""
found:
  description: Where the lines are.
  returned: always
  type: list
  elements: dict
  contains:
    request_id:
      description: The request.
      type: str
      sample: 5f0c3e9a4be04cf1a6c4e8b6a7a0d9f1
    host:
      description: The host that sent the line.
      type: str
      sample: app-1
    stream:
      description: The stream that it is in.
      type: str
      sample: app
    path:
      description: The file.
      type: str
      sample: /var/log/hardened/app-1/app.jsonl
    latency:
      description:
        - Seconds from O(started) until the line was stored, as exact as the two hosts' clocks agree. Only with
          O(started).
      type: float
      sample: 0.21
missing:
  description: Requests without a line.
  returned: always
  type: list
  elements: str
waited:
  description: Seconds that the module looked for the lines.
  returned: always
  type: float
  sample: 0.05
checks:
  description: The same as one check for each request, in the form of RV(techsaas.hardened.verify_edge#module:checks).
  returned: always
  type: list
  elements: dict
problems:
  description: What is missing and where to look; empty when nothing is.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: V(VERIFY), or V(UNREACHABLE) for a host that could not be asked.
      type: str
    message:
      description: What was expected and what was seen.
      type: str
    fix:
      description: Where to look.
      type: str
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.log_search import Search, written

_FIX = (
    "follow the line: journalctl -u hardened-app@blue (or green) on the app host has it if the API logs at all, journalctl"
    " -u rsyslog there says whether it could be sent, journalctl -u rsyslog on the collector whether it was taken"
)
_FIX_FORM = "correct the collector's template: each line must be JSON with the sent message parsed (role log_collector)"
_FIX_DIRECTORY = "run deploy.yml: role log_collector makes the directory and rsyslog writes below it"


def result_of(search: Search, waited: float, deadline: float, started: float | None) -> dict[str, Any]:
    found = []
    for place in search.found.values():
        arrived = place.pop("arrived")
        latency = {} if started is None else {"latency": round(max(0.0, arrived - started), 3)}
        found.append({**place, **latency})
    checks, problems = [], []
    for place in found:
        took = f" after {place['latency']} s" if "latency" in place else ""
        detail = f"{place['request_id']} from {place['host']} in stream {place['stream']}{took}"
        checks.append(
            {"name": "log_line", "ok": True, "detail": detail, "duration_ms": round(waited * 1000, 1)}
        )
    for request_id in search.missing:
        problem = _problem(search, request_id, deadline)
        problems.append(problem)
        checks.append(
            {
                "name": "log_line",
                "ok": False,
                "detail": problem["message"],
                "duration_ms": round(waited * 1000, 1),
            }
        )
    return {
        "found": found,
        "missing": search.missing,
        "waited": round(waited, 3),
        "checks": checks,
        "problems": problems,
    }


def _problem(search: Search, request_id: str, deadline: float) -> dict[str, str]:
    wanted = f"expected a log line of request {request_id} below {search.directory} within {deadline:g} s"
    if not search.directory.is_dir():
        seen, fix = "there is no such directory", _FIX_DIRECTORY
    elif request_id in search.elsewhere:
        places = ", ".join(dict.fromkeys(search.elsewhere[request_id]))
        wanted += f" from {' or '.join(search.hosts) or 'any host'}"
        seen, fix = f"only {places} has it", _FIX
    elif request_id in search.unparsed:
        seen, fix = (
            f"a line in {search.unparsed[request_id]} has it, but not as a field request_id",
            _FIX_FORM,
        )
    else:
        seen, fix = written(search.directory, time.time()), _FIX
    return {"variable": "log_line", "code": "VERIFY", "message": f"{wanted}; {seen}", "fix": fix}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "request_ids": {"type": "list", "elements": "str", "required": True},
            "deadline": {"type": "float", "default": 5.0},
            "directory": {"type": "path", "default": "/var/log/hardened"},
            "streams": {"type": "list", "elements": "str", "default": []},
            "hosts": {"type": "list", "elements": "str", "default": []},
            "started": {"type": "float"},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    search = Search(
        directory=Path(params["directory"]),
        request_ids=[value for value in params["request_ids"] if value],
        streams=params["streams"],
        hosts=params["hosts"],
    )
    waited = search.wait(params["deadline"])
    result = result_of(search, waited, params["deadline"], params["started"])
    if params["fail"] and result["problems"]:
        told = "\n".join(f"{problem['message']}\n  Fix: {problem['fix']}" for problem in result["problems"])
        module.fail_json(msg=told, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()

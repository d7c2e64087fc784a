#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify_edge
short_description: Proves from outside that an edge serves the API, and serves it as it should
version_added: 0.1.0
description:
  - Connects to one edge as a client would, under the public name and without any key, and checks everything that such
    a client can see. Run it on the controller, delegated, once for each host of the group C(edge).
  - All checks are made, side by side, whatever the others find; each says what was expected, what was seen, and what
    to do about it.
  - Needs nothing but Python. The old versions of TLS are offered by a hand-made greeting, so that the controller's own
    OpenSSL need not know them.
options:
  address:
    description:
      - Address or host name of the edge.
    type: str
    required: true
  domain:
    description:
      - Public name of the API, for SNI, the C(Host) header, and the certificate.
    type: str
    required: true
  port:
    description:
      - Port of HTTPS.
    type: int
    default: 443
  http_port:
    description:
      - Port of plain HTTP, which must lead to HTTPS and nowhere else. V(0) leaves the check out.
    type: int
    default: 80
  ca_file:
    description:
      - PEM file with the authority that must have issued the certificate. By default those that the controller trusts.
    type: path
  certificate_days_left:
    description:
      - Days that the certificate must still be valid.
    type: int
    default: 14
  tls_versions:
    description:
      - Versions of TLS that must be accepted. All others must be refused.
    type: list
    elements: str
    choices: ['1.2', '1.3']
    default: ['1.2', '1.3']
  health_path:
    description:
      - Path that must answer 200 when the API is alive. Empty leaves the check out.
    type: str
    default: /healthz
  ready_path:
    description:
      - Path that must answer 200 when the API and all it needs are ready. Empty leaves the check out.
    type: str
    default: /readyz
  protected_paths:
    description:
      - Requests that must be refused because they carry no key.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - The path.
        type: str
        required: true
      method:
        description:
          - The method.
        type: str
        default: GET
      status:
        description:
          - Statuses that count as refusal.
        type: list
        elements: int
        default: [401, 403]
  required_headers:
    description:
      - Headers that must be there exactly once on every answer, successes and errors alike.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the header.
        type: str
        required: true
      pattern:
        description:
          - Regular expression that must match within the value, in whatever case. Empty matches any value.
        type: str
        default: ''
  attack_path:
    description:
      - Path, with a query, of a request that looks like an attack and has to be answered by 403. Empty leaves the check out.
    type: str
    default: ''
  rate_limit_path:
    description:
      - Path for the check of the rate limit. Empty leaves the check out.
    type: str
    default: /healthz
  rate_limit_burst:
    description:
      - Requests to send at most, over connections that stay open, until one is answered by 429. V(0) leaves the check
        out. It is the last of all checks.
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait for each connection and each answer.
    type: float
    default: 5.0
  fail:
    description:
      - Whether a failed check fails the task. With V(false) see RV(problems).
    type: bool
    default: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed; all checks are made.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
notes:
  - A request that is answered by 429 because an earlier run has used up the rate limit is made again a few times.
seealso:
  - module: techsaas.hardened.verify_logs
  - module: techsaas.hardened.verify_report
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Look at the edge as a client does
  techsaas.hardened.verify_edge:
    address: "{{ ansible_host }}"
    domain: api.example.com
    ca_file: "{{ inventory_dir }}/.pki/ca.crt"
    protected_paths:
      - {path: /v1/items, status: [401]}
      - {path: /admin/keys, method: POST}
    required_headers:
      - {name: Strict-Transport-Security, pattern: "max-age=[1-9]"}
      - {name: X-Content-Type-Options, pattern: "^nosniff$"}
    rate_limit_burst: 200
  delegate_to: localhost
  become: false
"""

RETURN = r"""
checks:
  description: All checks that were made.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
      sample: tls_1.1
    ok:
      description: Whether it passed.
      type: bool
    detail:
      description: What was seen, and for a failed check what was expected.
      type: str
      sample: "refused: alert 'protocol version'"
    duration_ms:
      description: How long it took.
      type: float
      sample: 3.1
problems:
  description: The failed checks, in the form in which all checks of this collection report.
  returned: always
  type: list
  elements: dict
  contains:
    variable:
      description: Name of the check.
      type: str
    code:
      description: V(VERIFY).
      type: str
    message:
      description: What was expected and what was seen.
      type: str
    fix:
      description: What to do about it.
      type: str
request_id:
  description:
    - C(X-Request-ID) of a request that the API has logged, a refused one if there was one; empty when none was answered.
  returned: always
  type: str
  sample: 5f0c3e9a4be04cf1a6c4e8b6a7a0d9f1
request_ids:
  description: C(X-Request-ID) of the answer to each check that made a request.
  returned: always
  type: dict
started:
  description: When the first request was made, in seconds since 1970.
  returned: always
  type: float
"""

import re
from dataclasses import fields

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.model import Target
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks.runner import Wanted, verify


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "domain": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "http_port": {"type": "int", "default": 80},
            "ca_file": {"type": "path"},
            "certificate_days_left": {"type": "int", "default": 14},
            "tls_versions": {
                "type": "list",
                "elements": "str",
                "choices": ["1.2", "1.3"],
                "default": ["1.2", "1.3"],
            },
            "health_path": {"type": "str", "default": "/healthz"},
            "ready_path": {"type": "str", "default": "/readyz"},
            "protected_paths": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "str", "required": True},
                    "method": {"type": "str", "default": "GET"},
                    "status": {"type": "list", "elements": "int", "default": [401, 403]},
                },
            },
            "required_headers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "pattern": {"type": "str", "default": ""},
                },
            },
            "attack_path": {"type": "str", "default": ""},
            "rate_limit_path": {"type": "str", "default": "/healthz"},
            "rate_limit_burst": {"type": "int", "default": 0},
            "timeout": {"type": "float", "default": 5.0},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    for item in params["required_headers"]:
        try:
            re.compile(item["pattern"])
        except re.error as error:
            module.fail_json(
                msg=f"required_headers: the pattern of {item['name']} is no regular expression: {error}"
            )
    named = {name: value for name, value in params.items() if value is not None}
    target = Target(**{item.name: named[item.name] for item in fields(Target)})
    wanted = Wanted(**{item.name: named[item.name] for item in fields(Wanted) if item.name in named})
    result = verify(target, wanted)
    if params["fail"] and result["problems"]:
        lines = [f"{len(result['problems'])} of {len(result['checks'])} checks of {params['address']} failed"]
        lines += [
            f"- {item['variable']}: {item['message']}\n  Fix: {item['fix']}" for item in result["problems"]
        ]
        module.fail_json(msg="\n".join(lines), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()

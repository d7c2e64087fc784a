#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: credential_revocation
short_description: Have an edge refuse a key from the next request on
version_added: 0.1.0
description:
  - Puts a key on the list of those that the nginx of P(techsaas.hardened.reverse_proxy#role) answers with status 401, whatever the
    application thinks of it, or takes it off. Nothing is reloaded; connections that are open are refused too.
  - A key is known by the part of it that is no secret (O(key_ids)), or by its SHA-256 (O(credentials)). The edge keeps no key.
  - Then asks the edge with it, as a client would, and fails if it is not refused.
  - Without any key it tells which ones are refused.
  - Leaves one line in the audit trail (syslog, facility C(authpriv)) for each change.
options:
  key_ids:
    description: Identifiers of keys, as C(reverse_proxy_key_id_pattern) finds them.
    type: list
    elements: str
    default: []
  credentials:
    description: Whole keys, for those that have no identifier. Never shown.
    type: list
    elements: str
    default: []
  state:
    description: V(absent) lets them be used again.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Why, for whoever finds it. Required to revoke.
    type: str
    default: ''
  by:
    description: Who wants it.
    type: str
    default: ansible
  key_id_pattern:
    description: Regular expression whose one group is the identifier, to make up a key that has it. Without it, identifiers are not proven.
    type: str
    default: ''
  headers:
    description: Headers in which the edge is asked with a key.
    type: list
    elements: str
    default: [X-API-Key]
  address:
    description: Address on which this edge serves clients.
    type: str
    default: 127.0.0.1
  port:
    description: Port of it.
    type: int
    default: 443
  domain:
    description: Public name of the API. Without it, the edge is not asked.
    type: str
    default: ''
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: The edge is not asked.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.address_block
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Refuse a client's key
  techsaas.hardened.credential_revocation:
    key_ids: [4f1c0a9b7d2e6835]
    reason: seen in a public repository
    domain: api.example.com
    key_id_pattern: ^([0-9a-f]{16})[.]

- name: Refuse a key that has no identifier
  techsaas.hardened.credential_revocation:
    credentials: ["{{ app_admin_api_key }}"]
    reason: a laptop was stolen
    domain: api.example.com
    headers: [X-Admin-Key, Authorization]
"""

RETURN = r"""
revoked:
  description: All that this edge refuses afterwards, in check mode what it would.
  returned: success
  type: list
  elements: dict
  contains:
    credential:
      description: C(id-) and the identifier, or C(sha256-) and the hash of the whole.
      type: str
      sample: id-4f1c0a9b7d2e6835
    since:
      description: Since when, in UTC.
      type: str
    reason:
      description: Why.
      type: str
    by:
      description: Who wanted it.
      type: str
lines:
  description: The same in words, one line for each.
  returned: success
  type: list
  elements: str
proven:
  description: How often the edge was asked, and refused.
  returned: success
  type: int
problems:
  description: All that is wrong.
  returned: when it fails
  type: list
  elements: str
"""

import datetime
import hashlib
import json
import re
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records
from ansible_collections.techsaas.hardened.plugins.module_utils.edge_checks import exchange, model

RECORD = Path("/var/lib/hardened/edge/revoked")
_KEY_ID = re.compile(r"[A-Za-z0-9_.~:-]{1,128}")
# What may come between an identifier and the secret.
_REST = ("", ".x", "_x", "-x", ":x", "x")
_UNAUTHORIZED = 401


def _names(params: dict[str, Any]) -> list[str]:
    hashes = [hashlib.sha256(value.encode()).hexdigest() for value in params["credentials"]]
    return [f"id-{key_id}" for key_id in params["key_ids"]] + [f"sha256-{value}" for value in hashes]


def _problems(params: dict[str, Any]) -> list[str]:
    found = [
        f"{key_id!r}: is no identifier of a key (letters, digits and _.~:- only)"
        for key_id in params["key_ids"]
        if not _KEY_ID.fullmatch(key_id)
    ]
    if any(not value.strip() or value != value.strip() for value in params["credentials"]):
        found.append("credentials: one is empty, or begins or ends with a space")
    if _names(params) and params["state"] == "present" and not params["reason"].strip():
        found.append("reason: is missing; say why, for whoever finds it")
    if not RECORD.parent.is_dir():
        found.append("this host is no edge yet; provision.yml makes it one")
    return found


def _stored() -> dict[str, dict[str, Any]]:
    """By name. That a file is there is what counts, whatever it holds."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(RECORD.glob("*-*")):
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            loaded = None
        found[path.name] = loaded if isinstance(loaded, dict) else {"reason": "unreadable"}
    return found


def _wanted(before: dict[str, dict[str, Any]], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    names = _names(params)
    if params["state"] == "absent":
        return {name: entry for name, entry in before.items() if name not in names}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {"since": now, "reason": params["reason"].strip(), "by": params["by"]}
    return {**dict.fromkeys(names, entry), **before}


def _apply(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
    for name in after.keys() - before.keys():
        records.write(RECORD / name, after[name])
        records.audit("credential_revoked", credential=name, **after[name])
    for name in before.keys() - after.keys():
        (RECORD / name).unlink()
        records.audit("credential_admitted", credential=name, **before[name])
    if not after and RECORD.is_dir():
        # As long as it is there, each request has its keys looked at.
        RECORD.rmdir()


def _keys(params: dict[str, Any]) -> list[str]:
    """Keys to ask with: the whole ones, and for each identifier one that is made up."""
    made: list[str] = list(params["credentials"])
    for key_id in params["key_ids"]:
        for key in (key_id + rest for rest in _REST if params["key_id_pattern"]):
            match = re.match(params["key_id_pattern"], key)
            if match and match[1] == key_id:
                made.append(key)
                break
    return made


def _taken(params: dict[str, Any]) -> tuple[int, list[str]]:
    """How often the edge refused, and what it said where it did not."""
    target = model.Target(params["address"].strip("[]"), params["domain"], port=params["port"])
    refused, found = 0, []
    for key in _keys(params):
        for header in params["headers"]:
            value = f"Bearer {key}" if header.lower() == "authorization" else key
            try:
                answer = exchange.fetch(target, "/", headers={header: value})
            except (OSError, HTTPException) as error:
                found.append(f"{header}: the edge does not answer: {model.describe(error)}")
                continue
            if answer.status == _UNAUTHORIZED and "revoked" in answer.header("WWW-Authenticate"):
                refused += 1
            else:
                found.append(f"{header}: the edge answers {answer.status}; has provision.yml been run on it?")
    return refused, sorted(set(found))


def _told(entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """For the result: all of them, as data and in words."""
    revoked = [{"credential": name, **entries[name]} for name in sorted(entries)]
    lines = [
        f"{entry['credential']} since {entry.get('since', '?')}, by {entry.get('by', '?')}: {entry['reason']}"
        for entry in revoked
    ]
    return {"revoked": revoked, "lines": lines}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "key_ids": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "credentials": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str", "default": "ansible"},
            "key_id_pattern": {"type": "str", "default": "", "no_log": False},
            "headers": {"type": "list", "elements": "str", "default": ["X-API-Key"]},
            "address": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 443},
            "domain": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    if problems := _problems(params):
        module.fail_json(msg="Nothing was changed. " + "; ".join(problems), problems=problems)
    before = _stored()
    after = _wanted(before, params)
    changed = after != before
    proven = 0
    if not module.check_mode:
        _apply(before, after)
        if params["domain"] and params["state"] == "present":
            proven, problems = _taken(params)
            if problems:
                module.fail_json(
                    msg="The key is on the list, and not refused. " + "; ".join(problems),
                    changed=changed,
                    problems=problems,
                )
    module.exit_json(
        changed=changed,
        proven=proven,
        **_told(after),
        **({"diff": records.diff(RECORD, before, after)} if changed else {}),
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_lock
short_description: The lock of a fleet's releases, a lease that ends by itself
version_added: 0.1.0
description:
  - Two runs must not move the same fleet's releases at one time. The lock is a record on one host, the first of the group C(app), which
    is changed atomically.
  - It ends by itself after O(ttl) unless the run that holds it renews it, so that a killed controller leaves nothing to clear up. A run
    on the same controller takes over at once from one whose process is gone.
  - Each holder gets a token, higher than that of every one before. M(techsaas.hardened.rollout) and M(techsaas.hardened.release_record)
    refuse a run with a lower one than they have seen.
options:
  state:
    description:
      - V(held) takes the lock for this run of Ansible, or prolongs it. V(renewed) prolongs it and fails if this run does not hold it.
      - V(released) gives it back; what somebody else holds stays as it is.
      - V(locked) puts it on by hand, V(unlocked) takes it off, whoever holds it.
      - V(read) changes nothing.
    type: str
    choices: [held, renewed, released, locked, unlocked, read]
    default: held
  reason:
    description: What for. Whoever is refused reads it.
    type: str
    default: ''
  ttl:
    description: Seconds until the lock ends by itself. 0 with O(state=locked) means never.
    type: float
    default: 900
  wait:
    description: Seconds to wait for a lock that another run holds. One that was put on by hand is not waited for.
    type: float
    default: 0
  holder:
    description: Who holds it, for people. Filled in by the action plugin where omitted.
    type: str
    default: ''
  run:
    description: What tells this run from others. Filled in by the action plugin; not for use in tasks.
    type: str
    default: ''
  dead:
    description: A run whose process is gone. Filled in by the action plugin; not for use in tasks.
    type: str
    default: ''
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Take the lock
  techsaas.hardened.release_lock:
    reason: release 2026.11
  register: release_lock

- name: Keep others from releasing while the database is moved
  techsaas.hardened.release_lock:
    state: locked
    reason: the database moves
    ttl: 7200
"""

RETURN = r"""
lock:
  description: The lock as it is now.
  returned: always
  type: dict
  contains:
    held:
      description: Whether anybody has taken it and not given it back. It may have ended by itself.
      type: bool
    token:
      description: Grows with each holder.
      type: int
    holder:
      description: Who holds it, or was the last to.
      type: str
    reason:
      description: What for.
      type: str
    acquired:
      description: Since when, in seconds since 1970, by the host's clock.
      type: float
    expires:
      description: When it ends by itself, in seconds since 1970; 0 for never, or for one that is not held.
      type: float
    manual:
      description: Whether it was put on by hand.
      type: bool
    took_over_from:
      description: The run that has not given it back, if there was one.
      type: str
"""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import lease, records

RECORD = Path(lease.PATH)
_POLL = 1.0
_EVENTS = {
    "held": "release_lock_taken",
    "released": "release_lock_released",
    "locked": "release_lock_taken",
    "unlocked": "release_lock_removed",
}


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time; the kernel frees the lock of a killed one."""
    RECORD.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(RECORD.parent / ".lock", "w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _read() -> dict[str, Any]:
    if not RECORD.exists():
        return {}
    loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict) or not isinstance(loaded.get("token"), int):
        raise ValueError("not a lock")
    return loaded


def _wanted(options: dict[str, Any], lock: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    who = (options["run"], options["holder"], options["reason"])
    state = options["state"]
    if state == "held":
        return lease.taken(lock, *who, options["ttl"], now, options["dead"])
    if state == "renewed":
        return lease.renewed(lock, options["run"], options["ttl"], now)
    if state == "locked":
        return lease.locked(lock, *who, options["ttl"], now)
    if state == "released":
        return lease.released(lock, options["run"])
    return lease.unlocked(lock) if state == "unlocked" else dict(lock)


def _change(module: AnsibleModule) -> tuple[dict[str, Any], dict[str, Any]]:
    with _alone():
        before = _read()
        after = _wanted(module.params, before)
        if after != before and not module.check_mode:
            records.write(RECORD, after)
    return before, after


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["held", "renewed", "released", "locked", "unlocked", "read"],
                "default": "held",
            },
            "reason": {"type": "str", "default": ""},
            "ttl": {"type": "float", "default": 900},
            "wait": {"type": "float", "default": 0},
            "holder": {"type": "str", "default": ""},
            "run": {"type": "str", "default": ""},
            "dead": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    until = time.monotonic() + module.params["wait"]
    while True:
        try:
            before, after = _change(module)
            break
        except ValueError:
            module.fail_json(
                msg=f"{RECORD} is not a lock. Move it away; nobody's release is under way, if you know so"
            )
        except lease.LeaseError as error:
            lock = _read()
            if module.check_mode:
                module.warn(str(error))
                module.exit_json(changed=False, lock=lock)
            if lock.get("manual") or time.monotonic() > until or module.params["state"] == "renewed":
                module.fail_json(msg=f"{error}. Nothing was changed", lock=lock)
            time.sleep(_POLL)
    # That a run goes on is no news; that there is another holder is.
    news = (before.get("token"), before.get("held")) != (after.get("token"), after.get("held"))
    if news and not module.check_mode:
        told = {key: after[key] for key in ("token", "holder", "reason")}
        records.audit(_EVENTS[module.params["state"]], **told, took_over_from=after.get("took_over_from"))
    shown = {"diff": records.diff(RECORD, before, after)} if news else {}
    module.exit_json(changed=news, lock=after, **shown)


if __name__ == "__main__":
    main()

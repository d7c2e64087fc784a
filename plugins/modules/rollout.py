#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout
short_description: Gives a release its share of an edge's requests, watches how it answers, and goes back
version_added: 0.1.0
description:
  - On a host with the role P(techsaas.hardened.rollout#role), moves requests to the slot of a new release, step by step, without a reload.
  - From the first step on a service of the host compares both releases in the edge's access log. It goes back by itself when the new one
    is worse, when nobody goes on with a canary until its time, and, after the promotion, for as long as the watch lasts; the controller
    need not be there.
  - A run that another one has overtaken changes nothing.
options:
  state:
    description:
      - V(canary) gives the release O(weight) percent of the requests for O(seconds), and returns how it did.
      - V(promoted) gives it all of them, and watches it for O(watch).
      - V(aborted) gives the release before it all of them again, during a canary or the watch.
      - V(confirmed) ends the watch.
      - V(read) changes nothing.
    type: str
    choices: [canary, promoted, aborted, confirmed, read]
    default: read
  token:
    description: Of the run, as M(techsaas.hardened.release_lock) has given it.
    type: int
    default: 0
  release:
    description: Name of the release. Required for V(canary) and V(promoted).
    type: str
  image:
    description: Its image. Required for V(canary) and V(promoted).
    type: str
  slot:
    description: The slot that it is in. Required for V(canary) and V(promoted).
    type: str
    choices: [blue, green]
  previous:
    description: What serves before it, with C(release), C(image) and C(slot); empty for the first release.
    type: dict
    default: {}
  weight:
    description: Percentage of the requests, from 0 to 99. Required for V(canary).
    type: int
  seconds:
    description: How long the step is observed.
    type: float
    default: 60
  grace:
    description: Seconds after O(seconds) until the canary ends by itself, if nobody goes on with it.
    type: float
    default: 120
  hold:
    description: Whether the canary waits for a human after this step; O(grace) is how long then.
    type: bool
    default: false
  watch:
    description: Seconds of the watch after the promotion. 0 for none.
    type: float
    default: 600
  must_confirm:
    description: Whether the watch ends with going back, unless it was confirmed.
    type: bool
    default: false
  reason:
    description: Why it is aborted or confirmed, for the record.
    type: str
    default: ''
  by:
    description: Who has it aborted or confirmed.
    type: str
    default: ansible
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is observed then.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
seealso:
  - module: techsaas.hardened.slot_weight
  - module: techsaas.hardened.release_lock
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Give the new release a twentieth of the requests
  techsaas.hardened.rollout:
    state: canary
    token: "{{ release_lock.lock.token }}"
    release: "2026.11"
    image: registry.example.com/api@sha256:0000000000000000000000000000000000000000000000000000000000000000
    slot: green
    previous: {release: "2026.10", image: "{{ image_before }}", slot: blue}
    weight: 5
  register: step

- name: Go back
  techsaas.hardened.rollout:
    state: aborted
    reason: it denies what it should not
"""

RETURN = r"""
rollout:
  description: The record as it is now; empty before the first one.
  returned: always
  type: dict
  contains:
    phase:
      description: One of canary, watch, confirmed, aborted, withdrawn.
      type: str
    release:
      description: Name of the release.
      type: str
    weight:
      description: Its percentage of the requests.
      type: int
    until:
      description: When the phase ends by itself, in seconds since 1970; 0 for never.
      type: float
    reason:
      description: Why it ended.
      type: str
canary:
  description: How the new release has answered in this step.
  returned: O(state=canary)
  type: dict
stable:
  description: How the one before it has, in the same time.
  returned: O(state=canary)
  type: dict
verdict:
  description: This edge's own, with C(verdict) (pass, fail, inconclusive), C(reasons) and C(metrics).
  returned: O(state=canary)
  type: dict
weights:
  description: How many of the hundred links lead to each slot, and how many to none (C(unassigned)); empty where there are none yet.
  returned: O(state=read)
  type: dict
moved:
  description: How many of the hundred links were changed.
  returned: always
  type: int
"""

import json
import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, rollout_state, slot_links

SERVICE = "hardened-rollout.service"
# The service counts twice a second; it has to be started first.
_SIGN_OF_LIFE = 10.0
_POLL = 0.2
_ENDED = {rollout_state.CANARY: rollout_state.ABORTED, rollout_state.WATCH: rollout_state.WITHDRAWN}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["canary", "promoted", "aborted", "confirmed", "read"],
                "default": "read",
            },
            "token": {"type": "int", "default": 0, "no_log": False},
            "release": {"type": "str"},
            "image": {"type": "str"},
            "slot": {"type": "str", "choices": list(slot_links.SLOTS)},
            "previous": {"type": "dict", "default": {}},
            "weight": {"type": "int"},
            "seconds": {"type": "float", "default": 60},
            "grace": {"type": "float", "default": 120},
            "hold": {"type": "bool", "default": False},
            "watch": {"type": "float", "default": 600},
            "must_confirm": {"type": "bool", "default": False},
            "reason": {"type": "str", "default": ""},
            "by": {"type": "str", "default": "ansible"},
        },
        required_if=[
            ("state", "canary", ("release", "image", "slot", "weight")),
            ("state", "promoted", ("release", "image", "slot")),
        ],
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "read":
            module.exit_json(changed=False, rollout=rollout_state.read(), weights=_weights(), moved=0)
        _change(module)
    except rollout_state.RolloutError as error:
        module.fail_json(msg=f"{error}. Nothing was changed")
    except OSError as error:
        module.fail_json(msg=f"{error.filename or rollout_state.LINKS}: {error.strerror}")


def _weights() -> dict[str, int]:
    if not os.path.isdir(rollout_state.LINKS):
        return {}
    return slot_links.weights(slot_links.read(rollout_state.LINKS, rollout_state.SOCKETS))


def _change(module: AnsibleModule) -> None:
    options = module.params
    if options["state"] == "canary" and not 0 <= options["weight"] < 100:
        module.fail_json(
            msg=f"weight: must be from 0 to 99, is {options['weight']}; all of them is state=promoted"
        )
    if not os.path.isdir(rollout_state.LINKS):
        if module.check_mode:
            # On a host that is only planned yet.
            after = _wanted(options, {})
            module.exit_json(changed=bool(after), rollout=after, moved=0)
        module.fail_json(msg=f"{rollout_state.LINKS}: is no directory; provision.yml makes it")
    with slot_links.locked(rollout_state.LINKS):
        before = rollout_state.read()
        rollout_state.fenced(before, options["token"] or before.get("token", 0))
        after = _wanted(options, before)
        changed = after != before
        moved: list[str] = []
        if changed and not module.check_mode:
            _listening(module, after)
            moved = rollout_state.carry_out(after)
    result: dict[str, Any] = {"changed": changed, "rollout": after, "moved": len(moved)}
    if changed:
        result["diff"] = records.diff(rollout_state.RECORD, before, after)
    if changed and not module.check_mode:
        rollout_state.tell(f"rollout_{options['state']}", after, by=options["by"], reason=options["reason"])
        if after["phase"] in rollout_state.UNDER_WAY:
            _watched(module)
    if options["state"] == "canary" and not module.check_mode:
        result.update(_observed(module, after))
    module.exit_json(**result)


def _wanted(options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    bundle = {key: options[key] for key in ("token", "release", "image", "slot")}
    bundle["previous"] = options["previous"] or None
    if options["state"] in ("canary", "promoted"):
        rollout_state.not_overruled(before, options["token"])
    if options["state"] == "canary":
        until = time.time() + options["seconds"] + options["grace"]
        return rollout_state.stepped(
            before, bundle, options["weight"], options["seconds"], until, options["hold"]
        )
    if options["state"] == "promoted":
        baseline = _told(before).get("stable") if before.get("phase") == rollout_state.CANARY else None
        return rollout_state.promoted(before, bundle, options["watch"], options["must_confirm"], baseline)
    phase = before.get("phase")
    if options["state"] == "aborted":
        if phase not in _ENDED:
            return before
        ended = rollout_state.ended(before, _ENDED[phase], options["reason"], options["by"])
    elif phase == rollout_state.CANARY:
        raise rollout_state.RolloutError(
            f"release {before['release']} is a canary yet, so there is nothing to confirm; promote.yml goes on with it"
        )
    elif phase != rollout_state.WATCH:
        return before
    else:
        ended = rollout_state.ended(before, rollout_state.CONFIRMED, options["reason"], options["by"])
    return {**ended, "token": max(options["token"], before["token"])}


def _listening(module: AnsibleModule, record: dict[str, Any]) -> None:
    slots = {record["slot"]} if record["weight"] else set()
    slots |= {slot_links.other(record["slot"])} if record["weight"] < 100 else set()
    dead = slot_links.dead_sockets(rollout_state.SOCKETS, slots)
    if dead:
        module.fail_json(
            msg=f"no requests are sent to a slot that takes none: {dead}; is nginx running? Nothing was changed"
        )


def _watched(module: AnsibleModule) -> None:
    status, _output, words = module.run_command(["systemctl", "--no-ask-password", "restart", SERVICE])
    if status:
        # Nobody would go back: better so at once.
        with slot_links.locked(rollout_state.LINKS):
            record = rollout_state.read()
            rollout_state.carry_out(
                rollout_state.ended(record, _ENDED[record["phase"]], "it could not be watched", "ansible")
            )
        module.fail_json(
            msg=f"{SERVICE} cannot be started, so the release would not be watched; requests go where they went before: {words.strip()}"
        )


def _observed(module: AnsibleModule, record: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of the step, or for the service to end it sooner; and how both sides have answered."""
    began = time.monotonic()
    told: dict[str, Any] = {}
    while True:
        time.sleep(_POLL)
        now = rollout_state.read()
        told = _told(record) or told
        passed = time.monotonic() - began
        if (now.get("token"), now.get("since")) != (record["token"], record["since"]):
            module.fail_json(msg="another run has gone on with this rollout", rollout=now)
        if now["phase"] != rollout_state.CANARY or (told and passed > record["seconds"]):
            return {"rollout": now, **told}
        if not told and passed > _SIGN_OF_LIFE:
            module.fail_json(
                msg=f"{SERVICE} does not count; see journalctl -u {SERVICE}. The canary ends by itself",
                rollout=now,
            )


def _told(record: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded = json.loads(rollout_state.TALLY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if (loaded.get("token"), loaded.get("since")) != (record["token"], record["since"]):
        return {}
    return {key: loaded[key] for key in ("canary", "stable", "verdict")}


if __name__ == "__main__":
    main()

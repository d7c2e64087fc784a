#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stale_services
short_description: Services that still run what an update has replaced
version_added: 0.1.0
description:
  - Finds processes that have a library or program in memory whose file has been replaced, and restarts their services, one after the
    other. Containers are left alone, since what is in them comes from their image; where the engine's own part of a container is an old
    one, the slots of the application are restarted.
  - Tells whether the host itself has to be restarted, because Debian says so, because another kernel is installed than the one that runs,
    or because something that everything depends on runs a replaced file.
options:
  state:
    description: V(read) tells what there is, V(restarted) restarts it.
    type: str
    choices: [read, restarted]
    default: read
  skip:
    description: Units that are not restarted. They are still told.
    type: list
    elements: str
    default: []
  slots:
    description: Units to restart where the engine's part of a container is an old one. Those that are not active are left alone.
    type: list
    elements: str
    default: ['hardened-app@blue.service', 'hardened-app@green.service']
  report:
    description: Units of which to tell how long they were not up since O(since).
    type: list
    elements: str
    default: []
  since:
    description: A moment by the host's clock, such as V(2026-11-24T13:00:00Z). By default now.
    type: str
    default: ''
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.updates
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Have everything run what is installed
  techsaas.hardened.stale_services:
    state: restarted
"""

RETURN = r"""
stale:
  description: Processes that run replaced files, before anything was restarted.
  returned: always
  type: list
  elements: dict
restarted:
  description: Units that were, or in check mode would be, restarted.
  returned: always
  type: list
  elements: str
left:
  description: Services that still run replaced files.
  returned: always
  type: list
  elements: str
sessions:
  description: Processes of nobody's service that do. They end by themselves.
  returned: always
  type: list
  elements: str
reboot:
  description: Why the host has to be restarted; empty if it does not.
  returned: always
  type: list
  elements: str
down:
  description: Units of O(report) that were not up for some time since O(since), with the seconds.
  returned: always
  type: dict
"""

import datetime
import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, stale_files
from ansible_collections.techsaas.hardened.plugins.module_utils.apt_updates import newest_kernel
from ansible_collections.techsaas.hardened.plugins.module_utils.stale_files import Verdict

_REBOOT = Path("/run/reboot-required")


def _reboot(verdict: Verdict) -> list[str]:
    reasons = list(verdict.reboot)
    if _REBOOT.exists():
        packages = Path(f"{_REBOOT}.pkgs")
        names = sorted(set(packages.read_text(encoding="utf-8").split())) if packages.exists() else []
        reasons.append(f"Debian asks for it{' for ' + ', '.join(names) if names else ''}")
    # A container runs the kernel of its host, whatever is in its /boot.
    if not Path("/run/systemd/container").exists():
        newest = newest_kernel(os.listdir("/boot") if Path("/boot").is_dir() else [])
        if newest and newest != os.uname().release:
            reasons.append(f"kernel {newest} is installed, {os.uname().release} runs")
    return reasons


def _active(module: AnsibleModule, units: list[str]) -> list[str]:
    if not units:
        return []
    _status, output, _errors = module.run_command(["systemctl", "is-active", *units])
    return [unit for unit, said in zip(units, output.split(), strict=False) if said == "active"]


def _restart(module: AnsibleModule, verdict: Verdict) -> list[str]:
    skip = set(module.params["skip"])
    wanted = [unit for unit in verdict.restart if unit not in skip]
    slots = [unit for unit in module.params["slots"] if unit not in skip] if verdict.shims else []
    units = [*wanted, *_active(module, slots)]
    done = ["init"] if verdict.reexec else []
    if module.check_mode or module.params["state"] == "read":
        return [*done, *units]
    if verdict.reexec:
        module.run_command(["systemctl", "daemon-reexec"], check_rc=True)
    for unit in units:
        # Only what is up: a service that somebody has stopped stays so.
        status, _output, errors = module.run_command(["systemctl", "try-restart", unit])
        if status:
            words = module.run_command(
                ["journalctl", "--unit", unit, "--lines", "8", "--no-pager", "--output", "cat"]
            )
            module.fail_json(
                msg=f"{unit} did not come back after its update: {errors.strip()}\n{words[1].strip()}"
            )
        done.append(unit)
    if done:
        records.audit("services_restarted", units=done)
    return done


def _down(module: AnsibleModule) -> dict[str, float]:
    if not module.params["report"] or not module.params["since"]:
        return {}
    fields = [
        f"--property={name}"
        for name in ("Id", "ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    ]
    _status, output, _errors = module.run_command(["systemctl", "show", *fields, *module.params["report"]])
    moment = datetime.datetime.fromisoformat(module.params["since"].replace("Z", "+00:00")).timestamp()
    return stale_files.down_seconds(output, (time.monotonic() - (time.time() - moment)) * 1e6)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["read", "restarted"], "default": "read"},
            "skip": {"type": "list", "elements": "str", "default": []},
            "slots": {
                "type": "list",
                "elements": "str",
                "default": ["hardened-app@blue.service", "hardened-app@green.service"],
            },
            "report": {"type": "list", "elements": "str", "default": []},
            "since": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    before = stale_files.stale()
    restarted = _restart(module, stale_files.judge(before))
    acted = bool(restarted) and module.params["state"] == "restarted"
    after = stale_files.judge(stale_files.stale() if acted and not module.check_mode else before)
    shown: list[dict[str, Any]] = [
        {"pid": one.pid, "name": one.name, "unit": one.unit, "files": list(one.files)} for one in before
    ]
    module.exit_json(
        changed=acted,
        stale=shown,
        restarted=restarted,
        left=after.restart,
        sessions=after.sessions,
        reboot=_reboot(after),
        down=_down(module),
    )


if __name__ == "__main__":
    main()

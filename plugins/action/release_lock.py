# SPDX-License-Identifier: GPL-3.0-or-later
"""Says whose run this is, and sees whether the process of one that has kept the lock is gone; documented by the module of this name."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def identity(pid: int) -> str:
    """Of a process, so that no other one has it, whatever number it gets later: machine, boot, number and time of its start."""
    try:
        # Fields after the name, which may hold anything, in parentheses.
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return f"{socket.gethostname()}/{_BOOT.read_text(encoding='ascii').strip()}/{pid}/{started}"
    except (OSError, IndexError):
        return ""


def is_gone(run: str) -> bool:
    """Whether a run was one of this very machine, since its last boot, and its process does not exist any more."""
    machine, _slash, pid = run.rpartition("/")[0].rpartition("/")
    own = identity(os.getpid()).rsplit("/", 2)[0]
    return bool(own) and machine == own and pid.isdigit() and identity(int(pid)) != run


class ActionModule(ActionBase):  # type: ignore[misc]
    """Action of techsaas.hardened.release_lock."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        # This is a worker: what lives as long as the run is its parent.
        pid = os.getppid()
        own = identity(pid) or f"{socket.gethostname()}/{pid}"
        arguments = {"holder": f"{getpass.getuser()}@{socket.gethostname()}", **self._task.args, "run": own}
        result = self._ask(arguments, task_vars)
        keeps = str((result.get("lock") or {}).get("run", ""))
        if result.get("failed") and arguments.get("state", "held") == "held" and is_gone(keeps):
            result = self._ask({**arguments, "dead": keeps}, task_vars)
        return result

    def _ask(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        return dict(self._execute_module("techsaas.hardened.release_lock", arguments, task_vars=task_vars))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run of Ansible has learnt about its hosts and must not outlive it, as facts may: it is gone with the run's temporary files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible import constants


def host_of(task: Any, task_vars: Mapping[str, Any]) -> str:
    """The host that a task acts on."""
    return str(task.delegate_to or task_vars["inventory_hostname"])


def tell(host: str, sets: dict[str, str]) -> None:
    """The configuration sets that have been found in place on the host, each with its digest."""
    path = _path(host)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(sets), encoding="utf-8")


def settled(host: str) -> dict[str, str]:
    """What was told, unless something was changed since."""
    with contextlib.suppress(FileNotFoundError):
        sets: dict[str, str] = json.loads(_path(host).read_text(encoding="utf-8"))
        return sets
    return {}


def forget(host: str) -> None:
    """Something was changed there, so that sets may not be what they were."""
    _path(host).unlink(missing_ok=True)


def _path(host: str) -> Path:
    # One directory for all processes of a run.
    return Path(constants.DEFAULT_LOCAL_TMP) / "hardened-settled" / quote(host, safe="")

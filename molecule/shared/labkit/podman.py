# SPDX-License-Identifier: GPL-3.0-or-later
"""Running podman with the settings that the machine at hand needs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAP_SYS_RESOURCE = 24


class LabError(Exception):
    """Something about the lab that the reader can mend; the message says how."""


def run(
    argv: Sequence[str], *, check: bool = True, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command and keep its output; on failure raise with its own words."""
    result = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False)
    if check and result.returncode:
        words = (result.stderr or result.stdout).strip()
        raise LabError(f"{' '.join(argv[:4])} ... failed with exit code {result.returncode}:\n{words}")
    return result


def podman(*argv: str, check: bool = True, stdin: str | None = None) -> str:
    if shutil.which("podman") is None:
        raise LabError("podman is not installed; 'make setup' as root installs what the lab needs")
    return run(["podman", *runtime_options(), *argv], check=check, stdin=stdin).stdout


def podman_json(*argv: str) -> Any:
    return json.loads(podman(*argv, "--format", "json", check=False) or "[]")


def hybrid_cgroups() -> bool:
    """True where cgroup v1 controllers are mounted: crun refuses that, runc does not."""
    return not Path("/sys/fs/cgroup/cgroup.controllers").exists()


def runtime_options() -> list[str]:
    return ["--runtime", "runc", "--cgroup-manager", "cgroupfs"] if hybrid_cgroups() else []


def _has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(mask, 16) >> number & 1)


def host_options() -> list[str]:
    """Options for a host that boots systemd and can nest a Docker engine."""
    options = ["--privileged", "--cgroupns=private", "--stop-signal=SIGRTMIN+3"]
    if hybrid_cgroups():
        # Here podman's own systemd mode would mount the machine's systemd hierarchy, not the host's part of it, and all hosts
        # would clear away each other's control groups. So the host gets by hand what systemd looks for.
        options += ["--systemd=false", "--env=container=podman"]
        options += [f"--tmpfs={path}:rw,nosuid,nodev,mode=755" for path in ("/run", "/run/lock")]
    else:
        options += ["--systemd=always"]
    if not _has_capability(CAP_SYS_RESOURCE):
        # Without the capability a container may not raise limits, so it asks for what every machine has.
        options += ["--ulimit=nofile=20000:20000", "--ulimit=nproc=32768:32768"]
    return options

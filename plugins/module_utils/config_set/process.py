# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs: bounded in time, quiet, with the system's own directories on PATH."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Completed:
    rc: int
    out: str
    err: str
    raw: bytes = field(default=b"", repr=False)  # the output as it came

    @property
    def words(self) -> str:
        """What the program had to say, its errors first."""
        return "\n".join(part for part in (self.err.strip(), self.out.strip()) if part)


def search_path() -> str:
    own = os.environ.get("PATH", "")
    return f"{own}:{SYSTEM_PATH}" if own else SYSTEM_PATH


def find_program(name: str) -> str | None:
    return shutil.which(name, path=search_path())


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": search_path(),
        "LC_ALL": "C.UTF-8",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_COLORS": "0",
    }


def run(argv: Sequence[str], timeout: float, stdin: bytes | None = None) -> Completed:
    """Run argv to its end; a program that is missing or too slow is a result like any other."""
    import subprocess

    program = find_program(argv[0])
    if program is None:
        return Completed(127, "", f"{argv[0]}: program not found")
    process = subprocess.Popen(
        [program, *argv[1:]],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Completed(124, _text(out), f"{_text(err)}\nno answer within {timeout:g} s".strip())
    return Completed(process.returncode, _text(out), _text(err), out)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")

# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook with everything recorded that can be, by an operator whose settings are no help."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.techsaas.hardened.tests.security.leaks import trace
from labkit import paths

CALLBACKS = Path(__file__).parent / "callback"
DEADLINE = 900
# Facts, results and failed hosts are kept, and nothing is pipelined unless a plugin or task sees to it.
CONFIG = """[defaults]
collections_path = {checkout}/.cache/collections
log_path = {run}/log
fact_caching = ansible.builtin.jsonfile
fact_caching_connection = {run}/facts
retry_files_enabled = true
retry_files_save_path = {run}/retry
local_tmp = {run}/tmp
callbacks_enabled = ansible.builtin.junit, everything
callback_plugins = {callbacks}
forks = 20
timeout = 60
inject_facts_as_vars = false
localhost_warning = false
deprecation_warnings = false
[connection]
pipelining = false
[ssh_connection]
pipelining = false
ssh_args = -o ControlMaster=auto -o ControlPersist=3600s
"""
# What Ansible leaves in files, by the sink of each.
LEFT = {
    "log": "log file",
    "events": "callback",
    "junit": "JUnit file",
    "facts": "fact cache",
    "retry": "retry file",
}


@dataclass(frozen=True)
class Controller:
    """An ansible-core. `prefix` and `environment` are how a program is started where it is installed."""

    core: str
    python: str = sys.executable
    prefix: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """All that a run left, except on the hosts: sink, place, content."""

    status: int
    output: str
    contents: list[tuple[str, str, bytes]]


def run(
    controller: Controller,
    directory: Path,
    program: str,
    arguments: Sequence[str],
    traced: bool = True,
    killed_after: int = 0,
) -> Record:
    """One run, in a fresh directory in memory that takes everything which it leaves."""
    shutil.rmtree(directory, ignore_errors=True)
    for name in ("tmp", "home", "system-tmp"):
        (directory / name).mkdir(parents=True)
    config = CONFIG.format(checkout=paths.CHECKOUT, run=directory, callbacks=CALLBACKS)
    (directory / "ansible.cfg").write_text(config, encoding="utf-8")
    file = directory / "trace"
    command = [controller.python, "-m", "ansible", program, *arguments]
    # An environment of its own: nothing of ours gets into the traces. Nothing here has to become root, which strace's filter forbids.
    own = [f"{name}={value}" for name, value in (_environment(directory) | controller.environment).items()]
    argv = [
        *controller.prefix,
        *("env", "-i", *own),
        *([*trace.command(file), "--seccomp-bpf"] if traced else []),
        *(["timeout", "--signal=KILL", str(killed_after)] if killed_after else []),
        *command,
    ]
    done = subprocess.run(argv, cwd=paths.CHECKOUT, capture_output=True, timeout=DEADLINE, check=False)
    contents = list(_contents(directory, file))
    for stream, text in (("stdout", done.stdout), ("stderr", done.stderr)):
        contents.append(("output", stream, text))
    return Record(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), contents)


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": f"{paths.VENV_BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(directory / "home"),
        "TMPDIR": str(directory / "system-tmp"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "JUNIT_OUTPUT_DIR": str(directory / "junit"),
        "LEAKS_EVENTS": str(directory / "events"),
    }


def _contents(directory: Path, traced: Path) -> Iterator[tuple[str, str, bytes]]:
    if traced.exists():
        with open(traced, "rb") as lines:
            written, started = trace.digest(lines)
        traced.unlink()
        # What these files hold in the end has a sink of its own.
        own = tuple(str(directory / name) for name in LEFT)
        for path, content in written.items():
            if not path.startswith(own):
                yield "controller: files written", path, content
        for path, content in started:
            yield "controller: programs started", path, content
    for folder, _directories, names in os.walk(directory):
        for file in (Path(folder, name) for name in names):
            if file.is_file():
                inside = str(file.relative_to(directory))
                sink = LEFT.get(inside.split(os.sep, maxsplit=1)[0], "controller: files left")
                yield sink, inside, inside.encode() + b"\0" + file.read_bytes()

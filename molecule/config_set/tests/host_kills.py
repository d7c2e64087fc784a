# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a lab host: kills a run of a set at each of its steps in turn, runs it again, and compares with an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.engine import Engine
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import (
    FileSpec,
    LinkSpec,
    ProbeSpec,
    ServiceSpec,
    SetSpec,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import Systemd

UNIT = """[Service]
RuntimeDirectory=kill-test
Environment=GENERATION={generation}
ExecStartPre=/bin/sh -c 'cat /etc/kill-test/*.conf /srv/kill-test/*.conf > /run/kill-test/loaded'
ExecStart=/bin/sleep infinity
ExecReload=/bin/sh -c 'cat /etc/kill-test/*.conf /srv/kill-test/*.conf > /run/kill-test/loaded'
"""
PLACES = ("/etc/kill-test", "/srv/kill-test", "/run/kill-test", "/etc/systemd/system")


def wanted(generation: str) -> SetSpec:
    own = FileSpec(f"/etc/kill-test/only-{generation}.conf", f"only in {generation}\n".encode())
    return SetSpec(
        name="kill-test",
        files=(
            FileSpec("/etc/kill-test/a.conf", f"a {generation}\n".encode(), mode=0o640),
            FileSpec("/srv/kill-test/b.conf", f"b {generation}\n".encode()),
            FileSpec(
                "/etc/systemd/system/kill-test.service",
                UNIT.format(generation=generation).encode(),
                on_change="restart",
            ),
            own,
        ),
        links=(LinkSpec("/etc/kill-test/link", generation),),
        check=(("grep", "-q", generation, "/etc/kill-test/a.conf", "/srv/kill-test/b.conf"),),
        services=(ServiceSpec("kill-test.service"),),
        probes=(ProbeSpec(command=("grep", "-q", f"b {generation}", "/run/kill-test/loaded"), deadline=10),),
    )


def state() -> dict[str, str]:
    found = {}
    for place in map(Path, PLACES):
        for path in place.rglob("*"):
            if place.name == "system" and "kill-test" not in path.name:
                continue
            kind = (
                os.readlink(path)
                if path.is_symlink()
                else path.read_text()
                if path.is_file()
                else "directory"
            )
            found[str(path)] = f"{path.lstat().st_mode:o} {kind}"
    journal = Path("/var/lib/hardened/config_set/kill-test")
    found["kept"] = " ".join(sorted(path.name for path in journal.iterdir()))
    show = ["systemctl", "show", "--property=ActiveState,NeedDaemonReload", "kill-test.service"]
    found["unit"] = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    return found


def run(generation: str, kill_at: int | None = None) -> bool:
    """Run in a child; returns whether it was killed."""
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"a run of {generation} failed, to be killed at step {kill_at}")
        return os.WIFSIGNALED(status)
    count = 0

    def observe(_step: str, _subject: str) -> None:
        nonlocal count
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    try:
        Engine(wanted(generation), Systemd(), observe=observe).apply()
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)
    os._exit(0)


def main() -> None:
    undisturbed = {}
    for generation in ("one", "two", "one", "two"):
        run(generation)
        undisturbed[generation] = state()
    kills = 0
    while run("one", kill_at=kills):
        run("one")
        reached = state()
        if reached != undisturbed["one"]:
            sys.exit(f"killed at step {kills}: {json.dumps(reached)} is not {json.dumps(undisturbed['one'])}")
        run("two")
        if state() != undisturbed["two"]:
            sys.exit(f"the run after the one killed at step {kills} went wrong: {json.dumps(state())}")
        kills += 1
    print(kills)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that run replaced files: found in a /proc, and a real one on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import stale_files

DELETED = "7f0000000000-7f0000001000 r-xp 00000000 00:8c 14 {path} (deleted)\n"
DATA = "7f0000000000-7f0000001000 rw-s 00000000 00:8c 14 {path} (deleted)\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    def process(pid: int, name: str, groups: str, maps: str) -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        (tmp_path / str(pid) / "cgroup").write_text(groups)
        (tmp_path / str(pid) / "maps").write_text(maps)

    libc = DELETED.format(path="/usr/lib/x86_64-linux-gnu/libc.so.6")
    process(1, "systemd", "0::/init.scope\n", libc)
    process(10, "nginx", "9:name=systemd:/system.slice/nginx.service\n0::/\n", libc)
    process(11, "dockerd", "0::/system.slice/docker.service\n", libc)
    process(12, "containerd-shim", "0::/system.slice/containerd.service\n", libc)
    process(13, "dbus-daemon", "0::/system.slice/dbus.service\n", libc)
    process(14, "bash", "0::/user.slice/user-1000.slice/session-3.scope\n", libc)
    process(15, "systemd", "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", libc)
    process(16, "uvicorn", "0::/system.slice/docker-0123.scope\n", libc)
    process(17, "uvicorn", "9:name=systemd:/docker/0123\n0::/docker/0123\n", libc)
    process(18, "postgres", "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", libc)
    # Shared memory and files of their own are no replaced code.
    process(
        19,
        "rsyslogd",
        "0::/system.slice/rsyslog.service\n",
        DATA.format(path="/usr/lib/x") + DELETED.format(path="/memfd:x"),
    )
    (tmp_path / "self").mkdir()
    return tmp_path


def test_what_has_to_be_restarted(proc: Path) -> None:
    verdict = stale_files.judge(stale_files.stale(proc))
    # The engine after what may need it.
    assert verdict.restart == ["nginx.service", "postgresql@15-main.service", "docker.service"]
    assert verdict.reexec and verdict.shims
    assert verdict.reboot == ["dbus.service runs /usr/lib/x86_64-linux-gnu/libc.so.6 of before"]
    assert verdict.sessions == ["bash (14)", "systemd (15)"]


def test_a_real_process_whose_program_is_replaced(tmp_path: Path) -> None:
    # Programs are looked for where packages put them.
    place = Path("/opt") / f"hardened-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        pytest.skip("needs root")
    try:
        program = place / "sleep"
        shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
        with subprocess.Popen([str(program), "60"]) as running:
            assert running.pid not in {process.pid for process in stale_files.stale()}
            shutil.copy(sys.executable, place / "new")
            os.replace(place / "new", program)
            found = [process for process in stale_files.stale() if process.pid == running.pid]
            running.kill()
        assert [process.files for process in found] == [(str(program),)]
    finally:
        shutil.rmtree(place)


def test_how_long_units_were_down_is_told() -> None:
    shown = """\
Id=postgresql@15-main.service
ActiveExitTimestampMonotonic=5000000
ActiveEnterTimestampMonotonic=6500000

Id=rsyslog.service
ActiveExitTimestampMonotonic=1000000
ActiveEnterTimestampMonotonic=1100000

Id=nginx.service
ActiveExitTimestampMonotonic=0
ActiveEnterTimestampMonotonic=900000
"""
    assert stale_files.down_seconds(shown, 4_000_000) == {"postgresql@15-main.service": 1.5}

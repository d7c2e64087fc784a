# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host of the lab from the machine that it runs on, with nothing installed on it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.techsaas.hardened.tests.security.leaks.search import PACKED, Search

# Secrets are new, so no file that did not change since then can hold one. Names of files are looked at too.
FILES = r"""
needles=$(cat)
export LC_ALL=C
mapfile -d '' -t files < <(find / \( -path /proc -o -path /sys -o -path /dev/pts \) -prune -o -type f -newerct "@$1" -print0 2>/dev/null)
printf 'count\0%s\n' "${#files[@]}"
printf '%s\0\n' "${files[@]}" | grep -aoF -f <(printf '%s\n' "$needles") | sed 's/^/name\x00/'
for ((n = 0; n < ${#files[@]}; n += 2000)); do
    part=("${files[@]:n:2000}")
    printf '%s\n' "$needles" | grep -aoHZF -f - -- "${part[@]}" 2>/dev/null
    grep -aoHZE "$2" -- "${part[@]}" 2>/dev/null
done | LC_ALL=C sort -u
true
"""
SERVICES = (
    "systemctl show --all --no-pager '*'; systemctl show --no-pager; systemctl cat --no-pager '*' 2>/dev/null"
)
DOCKER = """
command -v docker >/dev/null || exit 0
for kind in container image network volume; do
    docker $kind ls --quiet $([ $kind = container ] || [ $kind = image ] && echo --all) | sort -u | xargs --no-run-if-empty docker $kind inspect
done
docker image ls --all --quiet | sort -u | xargs --no-run-if-empty --max-args=1 docker history --no-trunc
docker info
"""
DOCKER_PATHS = ("/var/lib/docker/", "/var/lib/containerd/", "/run/docker/", "/run/containerd/")


@dataclass(frozen=True)
class Match:
    """A file that holds a canary or packed data."""

    path: str
    text: bytes


@dataclass
class Host:
    """One container of the lab."""

    container: str
    since: float = field(default_factory=lambda: time.time() - 1)

    def run(self, script: str, *arguments: str, stdin: bytes = b"", check: bool = False) -> bytes:
        argv = ["podman", "exec", "--interactive", self.container, "bash", "-c", script, "bash", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, check=check).stdout

    def files(self, search: Search) -> tuple[int, list[Match]]:
        """How many files changed since the last call, and what is in them."""
        now = time.time() - 1
        # Python's pattern is one of grep's too, but for the group.
        out = self.run(
            FILES, f"{self.since:.3f}", PACKED.pattern.decode().replace("?:", ""), stdin=search.needles
        )
        self.since = now
        rows = [line.partition(b"\0")[::2] for line in out.split(b"\n") if b"\0" in line]
        changed = next(int(text) for kind, text in rows if kind == b"count")
        return changed, [
            Match(path.decode("utf-8", "replace"), text) for path, text in rows if path != b"count"
        ]

    def attributes(self, path: str) -> str:
        """Mode and owner, such as `400 1000:1000`; empty where the file is gone."""
        return self.run('stat --format="%a %u:%g" -- "$1"', path).decode().strip()

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """What the host's services say of themselves, by sink."""
        yield (
            "host: journal",
            self.run('journalctl --all --no-pager --output=export --since="@$1"', f"{self.since:.0f}"),
        )
        yield "host: systemctl show", self.run(SERVICES)
        yield "host: docker inspect", self.run(DOCKER)

    def ssh_servers(self) -> list[int]:
        """Process ids, as this machine knows them, of the server and of the sessions that are open."""
        top = subprocess.run(
            ["podman", "inspect", "--format={{.State.Pid}}", self.container],
            capture_output=True,
            text=True,
            check=True,
        )
        mine = Path(f"/proc/{top.stdout.strip()}/ns/pid").readlink()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/pid").readlink() == mine and re.match(
                    r"sshd", (process / "comm").read_text(encoding="utf-8")
                ):
                    found.append(int(process.name))
            except OSError:
                continue
        return found

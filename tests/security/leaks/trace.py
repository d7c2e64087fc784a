# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes write to files and which programs they start, transient ones included, by strace."""

from __future__ import annotations

import codecs
import os
import re
import shlex
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

WRITES = "write,pwrite64,writev,pwritev,pwritev2"
# Whole buffers: a module with its options is one write of some hundred thousand characters.
LONGEST = 4_000_000
# Pipes and sockets are how secrets have to travel; kept is what goes to a path, and what is executed.
KEEP = r"^[0-9]+ +(execve(at)?\(|[a-z0-9]+\([0-9]+</)"
# Contents of packages: hundreds of megabytes, from archives that know no secret. They are looked at where they lie in the end.
PACKAGES = r"^[0-9]+ +write\([0-9]+</[^>]*\.dpkg-new>"
WRITE = re.compile(rb"^(\d+) +p?write(?:64|v|v2)?\(\d+<((?:[^>\\]|\\.)+)>(?:\(deleted\))?, ")
EXEC = re.compile(rb'^\d+ +execve(?:at)?\((?:[^"]*, )?"([^"]*)"')
# Terminals and the void keep nothing.
NO_FILES = re.compile(rb"/dev/(?:null|zero|full|tty|ptmx|pts/\d+)(?:<.*)?$")
TEXT = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)


def command(output: Path) -> list[str]:
    """Of strace, up to what is to be traced."""
    line = "grep -a --line-buffered"
    keep = f"|{line} -E {shlex.quote(KEEP)} | exec {line} -vE {shlex.quote(PACKAGES)} >> {shlex.quote(str(output))}"
    return f"strace -f -qq -y -v -s {LONGEST} -e trace={WRITES},execve,execveat".split() + ["-o", keep]


class Attached:
    """strace on processes that run already, and on all that they start from now on."""

    def __init__(self, output: Path, pids: list[int]) -> None:
        self.output = output
        attach = [f"--attach={pid}" for pid in pids]
        self._process = subprocess.Popen([*command(output), *attach], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 20
        while not all(_traced(pid) for pid in pids):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"strace cannot attach to {pids}: {self._words()}")
            time.sleep(0.05)

    def new(self) -> Iterator[bytes]:
        """Lines of what was traced since the last call."""
        if self._process.poll() is not None:
            raise RuntimeError(f"strace of the host has ended: {self._words()}")
        time.sleep(0.3)
        with open(self.output, "rb") as file:
            yield from file
        # Memory is where it lies; what is read is not needed again.
        os.truncate(self.output, 0)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def _words(self) -> str:
        return (
            self._process.stderr.read() if self._process.stderr and self._process.poll() is not None else ""
        )


def _traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return not re.search(r"^TracerPid:\t0$", status, re.MULTILINE)


def digest(lines: Iterable[bytes]) -> tuple[dict[str, bytes], list[tuple[str, bytes]]]:
    """What was written, by path and put together, and what was started: the program, its words and its environment."""
    parts: dict[bytes, list[bytes]] = defaultdict(list)
    programs = []
    for line in lines:
        if match := WRITE.match(line):
            if not NO_FILES.match(match[2]):
                # Each process by itself: what two write at the same time is not to be torn apart.
                parts[match[2] + b"\0" + match[1]] += [
                    plain(text) for text in TEXT.findall(line, match.end())
                ]
        elif match := EXEC.match(line):
            programs.append(
                (match[1].decode("utf-8", "replace"), b"\0".join(plain(t) for t in TEXT.findall(line)))
            )
    paths: dict[str, bytes] = {}
    for key, texts in parts.items():
        path = key.partition(b"\0")[0].decode("utf-8", "replace")
        paths[path] = paths.get(path, b"") + b"".join(texts) + b"\0"
    return paths, programs


def plain(text: bytes) -> bytes:
    """Undoes strace's escapes, which are those of C."""
    return codecs.escape_decode(text)[0] if b"\\" in text else text

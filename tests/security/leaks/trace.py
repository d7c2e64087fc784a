# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes write to files and which programs they start, transient ones included, by strace."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

WRITES = "write,pwrite64,writev,pwritev,pwritev2"
# Whole buffers: a module with its options is one write of some hundred thousand characters.
LONGEST = 4_000_000
# Pipes and sockets are how secrets have to travel; kept is what goes to a path, and what is executed.
KEEP = r"^[0-9]+ +(execve(at)?\(|[a-z0-9]+\([0-9]+</)"
WRITE = re.compile(
    rb"^(\d+) +(?:p?write(?:64|v|v2)?)\(\d+<((?:[^>\\]|\\.)+)>(?:\(deleted\))?, (.*)$", re.DOTALL
)
EXEC = re.compile(rb'^\d+ +execve(?:at)?\((?:[^"]*, )?"([^"]*)"')
# Terminals and the void keep nothing.
NO_FILES = re.compile(rb"/dev/(?:null|zero|full|tty|ptmx|pts/\d+)(?:<.*)?$")
ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


def options(output: Path) -> list[str]:
    """Of strace, up to what is to be traced."""
    keep = f"|exec grep -aE --line-buffered {shlex.quote(KEEP)} >> {shlex.quote(str(output))}"
    return f"strace -f -qq -y -v -s {LONGEST} -e trace={WRITES},execve,execveat".split() + ["-o", keep]


class Attached:
    """strace on processes that run already, and on all that they start from now on."""

    def __init__(self, output: Path, pids: list[int]) -> None:
        self.output = output
        self._read = 0
        attach = [f"--attach={pid}" for pid in pids]
        self._process = subprocess.Popen([*options(output), *attach], stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 20
        while not all(_traced(pid) for pid in pids):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"strace cannot attach to {pids}: {self._words()}")
            time.sleep(0.05)

    def new(self) -> bytes:
        """What was traced since the last call."""
        if self._process.poll() is not None:
            raise RuntimeError(f"strace of the host has ended: {self._words()}")
        time.sleep(0.3)
        with open(self.output, "rb") as file:
            file.seek(self._read)
            data = file.read()
            self._read = file.tell()
        # What was read is not needed again, and memory is where it lies.
        return data

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


def written(trace: bytes) -> Iterator[tuple[str, bytes]]:
    """What each process wrote to each path, put together."""
    parts: dict[tuple[bytes, bytes], list[bytes]] = defaultdict(list)
    for line in trace.split(b"\n"):
        if (match := WRITE.match(line)) and not NO_FILES.match(match[2]):
            parts[match[1], match[2]] += [plain(text) for text in STRING.findall(match[3])]
    for (_pid, path), texts in parts.items():
        yield path.decode("utf-8", "replace"), b"".join(texts)


def started(trace: bytes) -> Iterator[tuple[str, bytes]]:
    """Each program with its words and its environment."""
    for line in trace.split(b"\n"):
        if match := EXEC.match(line):
            yield match[1].decode("utf-8", "replace"), b"\0".join(plain(t) for t in STRING.findall(line))


def plain(text: bytes) -> bytes:
    """Undoes strace's escapes."""
    return ESCAPE.sub(_unescape, text) if b"\\" in text else text


def _unescape(match: re.Match[bytes]) -> bytes:
    word = match[1]
    return bytes([int(word, 8) & 0xFF]) if word[:1] in b"01234567" else ESCAPES.get(word, word)

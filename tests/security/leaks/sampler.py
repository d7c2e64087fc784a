# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the command line and environment of every process of the machine, its containers' included, all the time."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter

from ansible_collections.techsaas.hardened.tests.security.leaks.findings import Finding
from ansible_collections.techsaas.hardened.tests.security.leaks.search import Search

INTERVAL = 0.01
KINDS = {"cmdline": "machine: argv", "environ": "machine: environ"}


class Sampler(threading.Thread):
    """Runs until stopped. What it finds is known by the program's name."""

    def __init__(self, search: Search) -> None:
        super().__init__(daemon=True)
        self._search = search
        self._end = threading.Event()
        self._seen: dict[str, bytes] = {}
        self.findings: list[Finding] = []
        self.looked: Counter[str] = Counter()
        self.rounds = 0

    def run(self) -> None:
        while not self._end.is_set():
            pids = [name for name in os.listdir("/proc") if name.isdigit()]
            for pid in pids:
                self._look(pid)
            for gone in self._seen.keys() - set(pids):
                del self._seen[gone]
            self.rounds += 1
            time.sleep(INTERVAL)

    def stop(self) -> list[Finding]:
        self._end.set()
        self.join()
        return self.findings

    def _look(self, pid: str) -> None:
        command = _read(pid, "cmdline")
        # The same words mean the same program, whose environment was looked at when it began.
        if not command or self._seen.get(pid) == command:
            return
        self._seen[pid] = command
        for kind, sink in KINDS.items():
            data = command if kind == "cmdline" else _read(pid, kind)
            self.looked[sink] += len(data)
            program = os.path.basename(command.split(b"\0")[0]).decode("utf-8", "replace")
            self.findings += [Finding(sink, program, h.canary, h.form) for h in self._search.find(data)]


def _read(pid: str, kind: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{kind}", "rb", buffering=0) as file:
            return file.read(2_000_000) or b""
    except OSError:
        return b""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a host out of the balance without losing a request: no new connections, a last answer on each one that is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

TABLE = "hardened_drain"
_ESTABLISHED = "01"
_POLL = 0.1


def ruleset(ports: Iterable[int]) -> str:
    """Refuses new connections at once, so that whoever asks goes to the next host before it has sent anything; what is under way goes on."""
    listed = ", ".join(str(port) for port in sorted(ports))
    return f"""table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
    chain input {{
        type filter hook input priority -150; policy accept;
        iifname != "lo" tcp dport {{ {listed} }} tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset
    }}
}}
"""


def connections(ports: Collection[int], root: Path = Path("/proc")) -> int:
    """How many connections from outside are open to the ports."""
    found = 0
    for name in ("tcp", "tcp6"):
        try:
            lines = (root / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            local, remote, state = line.split()[1:4]
            port = int(local.rpartition(":")[2], 16)
            found += state == _ESTABLISHED and port in ports and not _is_loopback(remote.rpartition(":")[0])
    return found


def _is_loopback(address: str) -> bool:
    """In the kernel's notation, words of the machine's own order."""
    return address in ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")


def wait_until_gone(
    count: Callable[[], int],
    notice: Callable[[], None],
    patience: float,
    every: float = 10,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[int, float]:
    """Give notice until nobody is connected or patience ends: how many are left, and after how many seconds."""
    begun = clock()
    noticed = float("-inf")
    while True:
        now = clock()
        if now - noticed >= every:
            notice()
            noticed = now
        left = count()
        if not left or now - begun >= patience:
            return left, round(now - begun, 1)
        sleep(_POLL)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a release on an edge, and goes back by itself. Runs there as a service, whether or not a controller is still there."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import records, rollout_judge, rollout_state, slot_links
from .rollout_judge import FAIL, Tally, judge, side
from .rollout_state import CANARY, CONFIRMED, RolloutError

LOOK = 0.5  # seconds
# A release under watch is judged by what it did lately: a late failure would be lost among ten minutes of good answers. The short one
# finds what is plainly bad at once, the long one what takes more answers.
WINDOWS = (5.0, 30.0)
PROBE_TIMEOUT = 5.0
PROBES_AT_ONCE = 20
# Of the first seconds of a release nothing is learnt about its speed.
WARM_UP = 5.0

PEER_INTERVAL = 1.0
PEER_LARGEST = 1024 * 1024

Probe = Callable[[str, str], "tuple[float, bool]"]


class Log:
    """The access log from now on, over its renaming."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stream: Any = None
        self._rest = b""
        self._open(at_end=True)

    def lines(self) -> Iterator[bytes]:
        while True:
            if self._stream is not None:
                yield from self._read()
            if not self._is_renamed():
                return
            self._open(at_end=False)
            if self._stream is None:
                return

    def _read(self) -> Iterator[bytes]:
        text = self._rest + self._stream.read()
        *whole, self._rest = text.split(b"\n")
        yield from whole

    def _is_renamed(self) -> bool:
        if self._stream is None:
            return os.path.exists(self._path)
        with contextlib.suppress(FileNotFoundError):
            return os.stat(self._path).st_ino != os.fstat(self._stream.fileno()).st_ino
        return False

    def _open(self, at_end: bool) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._rest = None, b""
        with contextlib.suppress(FileNotFoundError):
            # Kept open over many looks.
            self._stream = open(self._path, "rb")  # noqa: SIM115
            if at_end:
                self._stream.seek(0, os.SEEK_END)


class Peers:
    """What the other edges say of the same release; asked beside the looks, so that one that does not answer holds nothing up.

    :param settings: ``peers`` (each with ``name`` and ``address``), ``port``, ``ca_file``, ``certificate_file``, ``key_file``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._said: dict[str, dict[str, Any]] = {}
        for peer in settings["peers"]:
            threading.Thread(target=self._follow, args=(peer,), daemon=True).start()

    def gone_back(self, record: Mapping[str, Any]) -> str:
        """Why another edge has taken the requests from this release again; empty if none has."""
        for name, said in self._said.items():
            same = said.get("id") == record.get("id")
            if same and said.get("phase") in (rollout_state.ABORTED, rollout_state.WITHDRAWN):
                return f"{name} has gone back: {said.get('reason', '')}"
        return ""

    def _follow(self, peer: Mapping[str, str]) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                self._said[peer["name"]] = self._ask(peer)
            time.sleep(PEER_INTERVAL)

    def _ask(self, peer: Mapping[str, str]) -> dict[str, Any]:
        given = self._settings
        # Anew each time: the certificate may be another one by then.
        context = ssl.create_default_context(cafile=given["ca_file"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(given["certificate_file"], given["key_file"])
        with (
            socket.create_connection((peer["address"], given["port"]), PROBE_TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=peer["name"]) as connection,
        ):
            asked = f"GET /rollout HTTP/1.1\r\nHost: {peer['name']}\r\nConnection: close\r\n\r\n"
            connection.sendall(asked.encode("ascii"))
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            loaded = json.loads(answer.read(PEER_LARGEST)) if answer.status == http.client.OK else {}
        return loaded if isinstance(loaded, dict) else {}


class Watch:
    """One look after the other, until the rollout has ended."""

    def __init__(
        self, settings: Mapping[str, Any], peers: Peers, probe: Probe | None = None, root: Path = Path("/")
    ) -> None:
        self.settings = settings
        self.peers = peers
        self.links = str(root / rollout_state.LINKS.lstrip("/"))
        self.sockets = rollout_state.SOCKETS
        self.record_path = root / str(rollout_state.RECORD).lstrip("/")
        self.tally_path = root / str(rollout_state.TALLY).lstrip("/")
        self.metrics = rollout_judge.metrics(settings["metrics"])
        self.log = Log(settings["access_log"])
        self.probe = probe or self._ask
        self.record: dict[str, Any] = {}
        self.refused_to_withdraw = False
        self._begin({})

    def _begin(self, record: dict[str, Any]) -> None:
        """A new step: what was counted before belongs to another share."""
        self.record = record
        self.canary, self.stable = Tally(self.settings["sticky"]), Tally(self.settings["sticky"])
        now = time.time()
        self.windows = [(length, now, Tally(self.settings["sticky"])) for length in WINDOWS]
        # Which numbers lead to which slot, for requests that were refused before one was looked up.
        self.assigned = slot_links.read(self.links, self.sockets)

    def look(self) -> bool:
        """Count, judge, act. False once there is nothing to watch any more."""
        record = rollout_state.read(self.record_path)
        if record.get("phase") not in rollout_state.UNDER_WAY:
            return False
        if (record["token"], record["since"]) != (self.record.get("token"), self.record.get("since")):
            self._begin(record)
            for _line in self.log.lines():
                pass  # of before this step
        self._count()
        self._probe()
        verdict = self._judge()
        self._write(verdict)
        if verdict["verdict"] == FAIL:
            return not self._go_back("; ".join(verdict["reasons"]))
        elsewhere = self.peers.gone_back(self.record)
        if elsewhere:
            return not self._go_back(elsewhere)
        if time.time() >= self.record["until"]:
            return not self._time_is_up()
        return True

    def _count(self) -> None:
        cold = self.record["phase"] == CANARY and time.time() - self.record["begun"] < min(
            WARM_UP, self.record["seconds"] / 2
        )
        new = self.record["slot"]
        for raw in self.log.lines():
            line = rollout_judge.parse(raw)
            if line is None or line.get("forced"):
                continue  # who chooses a side is no sample of all
            slot = line.get("slot") or self.assigned.get(str(line.get("slot_number")))
            if slot == new:
                for tally in self._of_new():
                    tally.add(line, cold)
            elif slot:
                self.stable.add(line, cold)

    def _probe(self) -> None:
        """Where clients ask too little to know anything, ask ourselves: both sides alike, and only as much as is missing."""
        paths = self.settings["probe_paths"]
        if not paths:
            return
        if self.record["phase"] == CANARY:
            passed = time.time() - self.record["since"]
            left = max(1.0, (self.record["seconds"] - passed) / LOOK)
            if passed < self.record["seconds"] / 2:
                return  # clients may come yet
            missing = self.settings["min_requests"] - min(
                self.canary.size, self.stable.size, *self._measured()
            )
            many = min(PROBES_AT_ONCE, math.ceil(missing / left)) if missing > 0 else 0
        else:
            many = 1 if not self.windows[0][2].requests else 0
        until = time.monotonic() + 2 * LOOK
        for number in range(many):
            path = paths[(self.canary.probes + number) % len(paths)]
            seen = self.probe(self.record["slot"], path)
            for tally in self._of_new():
                tally.add_probe(*seen)
            if self.record["phase"] == CANARY:
                self.stable.add_probe(*self.probe(slot_links.other(self.record["slot"]), path))
            if time.monotonic() > until:
                break

    def _measured(self) -> list[int]:
        return [sum(tally.latencies.values()) for tally in (self.canary, self.stable)]

    def _ask(self, slot: str, path: str) -> tuple[float, bool]:
        """Seconds, and whether the slot failed; by the whole way that a client's request takes from here on."""
        began = time.monotonic()
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PROBE_TIMEOUT)
                connection.connect(slot_links.socket_path(self.sockets, slot))
                asked = f"GET {path} HTTP/1.1\r\nHost: {self.settings['domain']}\r\nConnection: close\r\n\r\n"
                connection.sendall(asked.encode("ascii"))
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                answer.read()
            failed = answer.status >= http.client.INTERNAL_SERVER_ERROR
        except (OSError, http.client.HTTPException):
            failed = True
        return time.monotonic() - began, failed

    def _of_new(self) -> list[Tally]:
        """What counts the new release's answers: all of the step, or the windows of the watch."""
        return (
            [self.canary]
            if self.record["phase"] == CANARY
            else [self.canary, *(tally for _length, _began, tally in self.windows)]
        )

    def _judge(self) -> dict[str, Any]:
        if self.record["phase"] == CANARY:
            new, before = side([self.canary.summary()]), side([self.stable.summary()])
            return judge(new, before, self.metrics, self.settings["min_requests"])
        before = side([self.record["baseline"]] if self.record.get("baseline") else [])
        judged = [
            judge(side([tally.summary()]), before, self.metrics, self.settings["min_requests"], watching=True)
            for _length, _began, tally in self.windows
        ]
        now = time.time()
        self.windows = [
            (length, began, tally) if now - began < length else (length, now, Tally(self.settings["sticky"]))
            for length, began, tally in self.windows
        ]
        return next((one for one in judged if one["verdict"] == FAIL), judged[-1])

    def _write(self, verdict: Mapping[str, Any]) -> None:
        """For whoever asks how it goes; in memory, since it is of no use after a restart."""
        told = {
            "token": self.record["token"],
            "since": self.record["since"],
            "at": time.time(),
            "canary": self.canary.summary(),
            "stable": self.stable.summary(),
            "verdict": verdict,
        }
        with contextlib.suppress(FileNotFoundError):
            temporary = self.tally_path.with_suffix(".new")
            temporary.write_text(json.dumps(told), encoding="utf-8")
            os.replace(temporary, self.tally_path)

    def _go_back(self, reason: str) -> bool:
        """Give the release before all requests again; only if that one answers, where all come to the new one already."""
        watching = self.record["phase"] != CANARY
        if watching and not self._previous_answers():
            if not self.refused_to_withdraw:
                rollout_state.tell("rollout_cannot_go_back", self.record, reason=reason)
            self.refused_to_withdraw = True
            return False
        return self._end(rollout_state.WITHDRAWN if watching else rollout_state.ABORTED, reason)

    def _previous_answers(self) -> bool:
        path = (self.settings["probe_paths"] or ["/"])[0]
        return any(not self.probe(slot_links.other(self.record["slot"]), path)[1] for _try in range(3))

    def _time_is_up(self) -> bool:
        if self.record["phase"] == CANARY:
            return self._end(rollout_state.ABORTED, "nobody has gone on with it until its time")
        if self.record.get("must_confirm"):
            return self._go_back("nobody has confirmed it until its time")
        return self._end(CONFIRMED, "nothing was wrong with it until the end of its watch")

    def _end(self, phase: str, reason: str) -> bool:
        with slot_links.locked(self.links):
            now = rollout_state.read(self.record_path)
            if any(now.get(key) != self.record[key] for key in ("token", "since", "phase")):
                return False  # a run was faster: look again
            record = rollout_state.ended(now, phase, reason, "watch")
            rollout_state.carry_out(record, self.links, self.sockets, self.record_path)
        rollout_state.tell(f"rollout_{phase}", record, reason=reason)
        return True


def main() -> None:
    settings = json.loads(rollout_state.SETTINGS.read_text(encoding="utf-8"))
    watch = Watch(settings, Peers(settings))
    while True:
        began = time.monotonic()
        try:
            if not watch.look():
                return
        except RolloutError as error:
            records.audit("rollout_unreadable", reason=str(error))
            raise SystemExit(str(error)) from error
        time.sleep(max(0.05, LOOK - (time.monotonic() - began)))

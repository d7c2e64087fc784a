# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host does what its groups are for, asked on the host itself."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Runs a command: its exit code, and what it said.
Run = Callable[[Sequence[str]], tuple[int, str]]

RECORD = Path("/var/lib/hardened/release.json")
_PKI = "/etc/hardened/pki"
_TIMEOUT = 5.0


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


class _OverTls(http.client.HTTPConnection):
    """As the edge itself asks an application host."""

    def __init__(self, address: str, port: int, name: str) -> None:
        super().__init__(address, port, timeout=_TIMEOUT)
        self._name = name

    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context(cafile=f"{_PKI}/ca.crt")
        context.load_cert_chain(f"{_PKI}/host.crt", f"{_PKI}/host.key")
        self.sock = context.wrap_socket(self.sock, server_hostname=self._name)


def problems(
    run: Run,
    units: Iterable[str],
    commands: Iterable[Sequence[str]],
    slots: Mapping[str, str],
    path: str,
    host: str,
    known_failed: Iterable[str],
    entrances: Iterable[Mapping[str, Any]] = (),
    record: Path = RECORD,
) -> list[str]:
    """What is wrong, most telling first.

    :param slots: for each slot, where it is asked: a port of the loopback interface, or the path of a socket.
    :param entrances: application hosts that this host, an edge, has to get an answer from: address, port, and the name in their
        certificate.
    :param known_failed: units that had failed before anybody did anything. Others that have are a problem where `units` are asked for.
    """
    wanted = list(units)
    found = [f"{unit} is {state}" for unit, state in _inactive(run, wanted)]
    for command in commands:
        status, output = run(command)
        if status:
            found.append(f"{' '.join(command)}: {output.strip() or f'exit code {status}'}")
    if slots:
        found += _unready(slots, path, host, record)
    for one in entrances:
        answer = _asked(_OverTls(str(one["address"]), int(one["port"]), str(one["name"])), path, host)
        if answer:
            found.append(f"{one['address']} port {one['port']} at {path}: {answer}")
    if not wanted:
        return found
    known = set(known_failed)
    found += [f"{unit} has failed" for unit in failed_units(run) if unit not in known]
    return found


def failed_units(run: Run) -> list[str]:
    _status, listed = run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--full"])
    return sorted(line.split()[0] for line in listed.splitlines() if line.strip())


def _inactive(run: Run, units: list[str]) -> list[tuple[str, str]]:
    if not units:
        return []
    _status, output = run(["systemctl", "is-active", *units])
    said = [*output.split(), *["unknown"] * len(units)]
    return [(unit, state) for unit, state in zip(units, said, strict=False) if state != "active"]


def serving_slot(record: Path = RECORD) -> str:
    """As it is on record; empty where nothing is."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["slot"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _unready(slots: Mapping[str, str], path: str, host: str, record: Path) -> list[str]:
    """Of the slot that serves; of all where nothing is on record, and one answer is enough, since it is the edge that chooses."""
    try:
        loaded: Any = json.loads(record.read_text(encoding="utf-8"))
        serving = [str(loaded["slot"])]
    except FileNotFoundError:
        serving = list(slots)
    except (ValueError, KeyError, TypeError):
        return [f"{record} cannot be read"]
    answers = {slot: _answer(slots[slot], path, host) for slot in serving if slot in slots}
    if any(answer == "" for answer in answers.values()):
        return []
    return [f"slot {slot} at {path}: {answer}" for slot, answer in answers.items()]


def _answer(where: str, path: str, host: str) -> str:
    if where.startswith("/"):
        return _asked(_OverSocket(where), path, host)
    return _asked(http.client.HTTPConnection("127.0.0.1", int(where), timeout=_TIMEOUT), path, host)


def _asked(connection: http.client.HTTPConnection, path: str, host: str) -> str:
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error or type(error).__name__})"
    finally:
        connection.close()
    return "" if status == 200 else f"status {status}"

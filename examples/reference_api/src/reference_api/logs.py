# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging: one line of JSON per message, to syslog where it is configured, else to stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.config
import queue
import socket
import sys
import time
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, SysLogHandler
from typing import Any

from . import NAME, context
from .config import ConfigurationError, Problem, Settings

security = logging.getLogger("security")
access = logging.getLogger("access")
service = logging.getLogger("service")

TRACEBACK_LIMIT = 4000  # syslog daemons cut a message at 8 KiB, and half a line of JSON is worth nothing
QUEUED = 10_000  # lines
PATIENCE = 0.5  # seconds
STALLED = 5.0  # seconds


def event(logger: logging.Logger, level: int, name: str, /, **fields: Any) -> None:
    """Log something that happened, by a name that rules can match and with its facts as fields."""
    logger.log(level, name, extra={"fields": fields})


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the request at hand."""

    def __init__(self, release: str = "") -> None:
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        request = context.current()
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": "message",
            "request_id": request.request_id if request else None,
            "client": request.client if request else None,
            "key_id": request.key_id if request else None,
            "release": self.release,
        }
        fields = getattr(record, "fields", None)
        if fields is None:  # a library's message
            line["message"] = record.getMessage()[:TRACEBACK_LIMIT]
        else:
            line |= {"event": record.getMessage()} | fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-TRACEBACK_LIMIT:]
        return json.dumps(line, default=str)


class SyslogSender(SysLogHandler):
    """Sends to syslog, waiting a little for a daemon that is behind; what it does not take goes to stderr.

    A datagram socket holds as few as ten messages, so a burst has to wait for the daemon to read on. After
    a failure nothing is waited for, until it works again or a while has passed: then a daemon that hangs
    cannot hold up the shutdown.
    """

    ident = f"{NAME}: "
    append_nul = False

    def __init__(self, address: str | tuple[str, int], facility: int) -> None:
        self._failed = False
        self._stalled_until = 0.0
        super().__init__(address, facility, socket.SOCK_DGRAM)

    def _connect_unixsocket(self, address: str) -> None:
        # The base class calls this again after a failed send: so a socket that came back is found.
        super()._connect_unixsocket(address)  # type: ignore[misc]
        self.socket.settimeout(0 if time.monotonic() < self._stalled_until else PATIENCE)  # type: ignore[attr-defined]

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        if not self._failed:
            self._stalled_until = 0.0
            self.socket.settimeout(PATIENCE)  # type: ignore[attr-defined]

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is the base class's)
        self._failed = True
        self._stalled_until = time.monotonic() + STALLED
        _to_stderr(record)


class QueuedSyslogHandler(QueueHandler):
    """Hands lines to a thread that sends them, so that no request ever waits for syslog."""

    def __init__(self, address: str | tuple[str, int], facility: int) -> None:
        super().__init__(queue.Queue(QUEUED))
        self._sender = QueueListener(self.queue, SyslogSender(address, facility))
        self._sender.start()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is the base class's)
        _to_stderr(record)  # the queue is full

    def close(self) -> None:
        """Send what is queued."""
        self._sender.stop()
        super().close()


def _to_stderr(record: logging.LogRecord) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{record.getMessage()}\n")  # the whole line: the queue's handler has formatted it


def configure(settings: Settings) -> None:
    """Set up every logger of the process."""
    address = _resolve(settings.syslog_address)

    def handler(facility: int) -> dict[str, Any]:
        if address is None:
            return {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
        return {"()": QueuedSyslogHandler, "formatter": "json", "address": address, "facility": facility}

    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter, "release": settings.release}},
            "handlers": {
                "root": handler(SysLogHandler.LOG_DAEMON),
                "security": handler(SysLogHandler.LOG_AUTH),
                "access": handler(SysLogHandler.LOG_LOCAL0),
            },
            "root": {"level": settings.log_level, "handlers": ["root"]},
            "loggers": {
                "security": {"level": "INFO", "handlers": ["security"], "propagate": False},
                "access": {"level": "INFO", "handlers": ["access"], "propagate": False},
                "service": {"level": "INFO", "handlers": ["root"], "propagate": False},
            },
        }
    )


def _resolve(address: str | tuple[str, int] | None) -> str | tuple[str, int] | None:
    """Turn a host name into an address once: sending must never wait for DNS."""
    if not isinstance(address, tuple):
        return address
    try:
        found = socket.getaddrinfo(*address, socket.AF_UNSPEC, socket.SOCK_DGRAM)[0][4]
    except OSError:
        problem = Problem("SYSLOG_ADDRESS", "names a host that does not resolve", "give its address")
        raise ConfigurationError([problem]) from None
    return str(found[0]), int(found[1])

# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about the request at hand, for the log and for error bodies."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class RequestContext:
    """Filled in as the request is understood: the key's id only once the key is proven."""

    request_id: str
    client: str
    key_id: str | None = None


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def begin(context: RequestContext) -> None:
    """Make a request the current one of this task."""
    _current.set(context)


def current() -> RequestContext | None:
    """The request at hand; None outside of one."""
    return _current.get()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Test callback: writes all that a callback is told, as the recorders of other projects do."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: everything
type: notification
short_description: Writes all that a callback is told
description: One line of JSON for each event, into the file that LEAKS_EVENTS names.
requirements: [enabled in callbacks_enabled]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "everything"
    CALLBACK_NEEDS_ENABLED = True

    def v2_on_any(self, *arguments: Any, **more: Any) -> None:
        with open(os.environ["LEAKS_EVENTS"], "a", encoding="utf-8") as file:
            for argument in [*arguments, *more.values()]:
                file.write(json.dumps(_plain(argument), default=str) + "\n")


def _plain(event: Any) -> Any:
    """Of a result all that it says, of a task its name; a task's arguments are templates, not values."""
    result = getattr(event, "_result", None)
    return {"task": str(event._task), "result": result} if result is not None else str(event)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON records of a host's state, and the trail of who changed which."""

from __future__ import annotations

import json
import os
import syslog
import tempfile
from pathlib import Path
from typing import Any


def text_of(record: dict[str, Any]) -> str:
    """As it is stored, and shown in diffs; nothing for none."""
    return json.dumps(record, indent=2, sort_keys=True) + "\n" if record else ""


def write(path: Path, record: dict[str, Any]) -> None:
    """Replace the record at once and durably; everybody on the host may read it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text_of(record))
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def audit(event: str, **details: Any) -> None:
    """One line in the audit trail: syslog, facility authpriv."""
    syslog.openlog("hardened", 0, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, json.dumps({"event": event, **details}))


def diff(path: Path, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """For a module's result."""
    return {
        "before_header": str(path),
        "after_header": str(path),
        "before": text_of(before),
        "after": text_of(after),
    }

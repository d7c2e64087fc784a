# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets lie on the host just as they were wanted last: a run that wants the same would find nothing to do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from .activate import ServiceManager
from .arguments import to_spec
from .engine import Engine
from .errors import ConfigSetError
from .manifest import read_json, write_json
from .model import STATE_ROOT, SetSpec, UnitState

_WANTED = "wanted.json"


def remember(directory: str, arguments: Mapping[str, Any]) -> None:
    """Keep what the set in this directory was made of, unless secrets are part of it: then it has no digest."""
    path = os.path.join(directory, _WANTED)
    # Only a round trip is at stake, which is no reason to fail a set that is in place.
    with contextlib.suppress(OSError):
        if not arguments["digest"]:
            os.unlink(path)
        elif _digest(path) != arguments["digest"]:
            write_json(path, dict(arguments))


def _digest(path: str) -> str:
    with contextlib.suppress(ValueError, AttributeError):
        return str((read_json(path) or {}).get("digest"))
    return ""


def settled(manager: ServiceManager, state_root: str = STATE_ROOT) -> dict[str, str]:
    """Name and digest of each such set: files, directories, watched files and units were compared. Reads only."""
    return {spec.name: spec.digest for spec, as_wanted in _judged(manager, state_root) if as_wanted}


def unsettled(manager: ServiceManager, state_root: str = STATE_ROOT) -> list[str]:
    """Names of those that do not lie there as the last run has left them. Sets with secrets are not known."""
    return [spec.name for spec, as_wanted in _judged(manager, state_root) if not as_wanted]


def _judged(manager: ServiceManager, state_root: str) -> list[tuple[SetSpec, bool]]:
    specs = list(_remembered(state_root))
    names = dict.fromkeys(service.name for spec in specs for service in spec.services)
    try:
        units = manager.show(list(names))
    except ConfigSetError:
        return []
    return [(spec, _is_settled(Engine(spec, manager, state_root), units)) for spec in specs]


def _remembered(state_root: str) -> Iterator[SetSpec]:
    try:
        names = sorted(os.listdir(state_root))
    except OSError:  # no set was ever put in place, or not for these eyes
        return
    for name in names:
        # What another version has written is as good as nothing: the set's own run sees to it.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            arguments = read_json(os.path.join(state_root, name, _WANTED))
            if arguments and arguments["name"] == name:
                yield to_spec(arguments)


def _is_settled(engine: Engine, units: dict[str, UnitState]) -> bool:
    try:
        return engine.is_settled(units)
    except (ConfigSetError, OSError, ValueError, KeyError):
        return False

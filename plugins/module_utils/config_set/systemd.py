# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks systemd about units and tells it what to do, in as few calls as possible."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .errors import ServiceError
from .model import UnitState
from .process import Completed, run

PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload"
UNIT_DIRECTORIES = (
    "/etc/systemd/system/",
    "/run/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
)
RUNNING = ("active", "reloading", "refreshing", "activating")
ENABLED = ("enabled", "enabled-runtime", "alias", "linked")
DISABLED = ("disabled", "indirect", "masked", "masked-runtime", "bad", "")
TIMEOUT = 180.0
JOURNAL_LINES = 15


def is_unit_file(path: str) -> bool:
    return path.startswith(UNIT_DIRECTORIES)


class Systemd:
    """The system's service manager, by way of systemctl; for one run, whose start bounds what the units have to say."""

    def __init__(self) -> None:
        self._since = int(time.time())

    def show(self, names: Sequence[str]) -> dict[str, UnitState]:
        """The state of all units in one call; systemctl answers in the order asked, also for unknown units."""
        if not names:
            return {}
        answer = self._call("show", "--property", PROPERTIES, "--", *names)
        blocks = [block for block in answer.out.strip().split("\n\n") if block]
        if len(blocks) != len(names):
            raise ServiceError(
                f"systemctl show gave {len(blocks)} answers for {len(names)} units: {answer.words}"
            )
        return {name: _parse(name, block) for name, block in zip(names, blocks)}

    def daemon_reload(self) -> None:
        self._call("daemon-reload")

    def enable(self, names: Sequence[str]) -> None:
        self._call("enable", "--", *names)

    def disable(self, names: Sequence[str]) -> None:
        self._call("disable", "--", *names)

    def act(self, action: str, name: str) -> None:
        """reload, restart, start or stop one unit."""
        if action in ("start", "restart"):
            # A unit that was started too often refuses even the configuration that would mend it.
            self.reset_failed(name)
        try:
            if action == "reload" and self.show([name])[name].starting:
                # A reload of a unit that is just starting succeeds without doing anything, and the unit may have read the old set.
                self._call("start", "--", name)
            self._call(action, "--", name)
        except ServiceError as error:
            raise ServiceError(f"{error}{self.last_words(name)}") from None

    def reset_failed(self, name: str) -> None:
        """Forget that a unit failed; systemd objects when it has forgotten already, which is as good."""
        run(["systemctl", "--no-ask-password", "reset-failed", "--", name], TIMEOUT)

    def last_words(self, name: str) -> str:
        """The unit's last journal lines, as a block to append to a message; empty when there are none."""
        since = f"@{self._since}"
        options = ["--since", since, "--lines", str(JOURNAL_LINES), "--no-pager", "--output", "cat"]
        answer = run(["journalctl", "--unit", name, *options], 10)
        lines = [line for line in answer.out.splitlines() if line.strip() and not line.startswith("-- ")]
        return (
            "\nlast journal lines of " + name + ":\n  " + "\n  ".join(lines)
            if answer.rc == 0 and lines
            else ""
        )

    @staticmethod
    def _call(verb: str, *arguments: str) -> Completed:
        answer = run(["systemctl", "--no-ask-password", verb, *arguments], TIMEOUT)
        if answer.rc == 127:
            raise ServiceError(
                "systemctl is not installed, but the set has services: they need a host run by systemd"
            )
        if answer.rc != 0:
            raise ServiceError(f"systemctl {verb} {' '.join(_operands(arguments))} failed: {answer.words}")
        return answer


def _operands(arguments: Sequence[str]) -> list[str]:
    return list(arguments[arguments.index("--") + 1 :]) if "--" in arguments else []


def _parse(name: str, block: str) -> UnitState:
    values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    active, sub = values.get("ActiveState", ""), values.get("SubState", "")
    found = values.get("LoadState") not in ("not-found", None)
    return UnitState(
        name=name,
        found=found,
        # A unit that waits for its next automatic restart has just failed.
        running=active in RUNNING and sub != "auto-restart",
        starting=active == "activating" and sub != "auto-restart",
        failed=active == "failed",
        enabled=_enabled(values.get("UnitFileState", "")),
        stale=values.get("NeedDaemonReload") == "yes",
        description=f"{active} ({sub})" if found else "not found",
    )


def _enabled(state: str) -> bool | None:
    if state in ENABLED:
        return True
    return False if state in DISABLED else None

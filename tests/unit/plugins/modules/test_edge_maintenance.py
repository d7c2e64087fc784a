# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that closes the edge: written, planned, kept, removed, and each change on record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUNNER = """
import json, sys
from pathlib import Path
from ansible.module_utils.testing import patch_module_args
from ansible_collections.techsaas.hardened.plugins.module_utils import records
from ansible_collections.techsaas.hardened.plugins.modules import edge_maintenance
place, audit = map(Path, sys.argv[1:])
edge_maintenance.RECORD = place
records.syslog.openlog = lambda *_: None
records.syslog.syslog = lambda _, text: audit.open("a").write(f"{text}\\n") if text[0] == "{" else None
with patch_module_args(json.load(sys.stdin)):
    edge_maintenance.main()
"""


class Host:
    def __init__(self, directory: Path) -> None:
        self.path = directory / "edge" / "maintenance.json"
        self.trail = directory / "trail"

    def call(self, check: bool = False, **options: Any) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, str(self.path), str(self.trail)],
            input=json.dumps({**options, "_ansible_check_mode": check, "_ansible_remote_tmp": "/tmp"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def events(self) -> list[str]:
        return (
            [json.loads(line)["event"] for line in self.trail.read_text().splitlines()]
            if self.trail.exists()
            else []
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_closed_and_opened(host: Host) -> None:
    assert not host.call(enabled=False)["changed"]
    closed = host.call(enabled=True, reason="moving")
    assert closed["changed"] and json.loads(host.path.read_text()) == closed["record"]
    assert closed["record"]["reason"] == "moving"
    again = host.call(enabled=True)
    assert not again["changed"] and again["record"] == closed["record"]
    assert host.call(enabled=True, reason="still moving")["record"]["since"] == closed["record"]["since"]
    opened = host.call(enabled=False)
    assert opened["changed"] and not host.path.exists()
    assert host.events() == ["maintenance_on", "maintenance_on", "maintenance_off"]


def test_a_plan_changes_nothing(host: Host) -> None:
    planned = host.call(check=True, enabled=True, reason="moving")
    assert planned["changed"] and "moving" in planned["diff"]["after"]
    assert not host.path.exists() and host.events() == []


@pytest.mark.parametrize("content", ["", "{}", "nonsense", "[]"])
def test_a_file_that_closes_is_seen_whatever_it_holds(host: Host, content: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(content)
    assert host.call(enabled=False)["changed"]
    assert not host.path.exists()

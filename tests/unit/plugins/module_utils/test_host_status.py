# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of itself, from its files and a few commands."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ansible_collections.techsaas.hardened.plugins.module_utils import host_status

TIMERS = [
    {"unit": "hardened-review.timer", "next": 1_800_000_000_000_000, "last": None, "left": 1, "passed": None}
]


def ask(command: list[str]) -> str:
    if "list-units" in command:
        return "nginx.service loaded failed failed The proxy\n"
    if "list-timers" in command:
        return json.dumps(TIMERS)
    return "notAfter=Nov  9 11:04:50 2027 GMT\n" if command[0] == "openssl" else ""


def fill(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_all_of_an_edge(tmp_path: Path) -> None:
    edge = "var/lib/hardened/edge"
    files = {
        "var/lib/hardened/release.json": '{"release": "r1"}',
        "var/lib/hardened/other.json": "{}",
        "var/lib/hardened/blocklist.json": "nonsense",
        f"{edge}/maintenance.json": '{"reason": "moving"}',
        f"{edge}/revoked/id-k1": '{"reason": "found"}',
        "etc/hardened/pki/host.crt": "certificate",
        "run/reboot-required": "",
    }
    fill(tmp_path, files)
    (tmp_path / edge / "slots").mkdir()
    for number in range(100):
        slot = "blue" if number < 5 else "green"
        os.symlink(f"/run/hardened-edge/{slot}.sock", tmp_path / edge / "slots" / f"{number:02d}.sock")
    status = host_status.collect(ask, tmp_path)
    assert status["records"] == {"release": {"release": "r1"}} and list(status["records_unreadable"]) == [
        "blocklist"
    ]
    assert status["edge"] == {
        "weights": {"blue": 5, "green": 95, "unassigned": 0},
        "maintenance": {"reason": "moving"},
        "revoked": {"id-k1": {"reason": "found"}},
    }
    assert status["units_failed"] == ["nginx.service"] and status["reboot_required"]
    assert status["timers"] == [{"unit": "hardened-review.timer", "next": 1_800_000_000, "last": 0}]
    assert status["certificates"] == {"/etc/hardened/pki/host.crt": "2027-11-09T11:04:50Z"}


def test_a_collector_tells_what_waits(tmp_path: Path) -> None:
    told = {"waiting": {"e-mail": [{}, {}], "webhook chat": []}, "silent": ["app-1"]}
    fill(tmp_path, {"var/lib/private/hardened-detection/told.json": json.dumps(told)})
    status = host_status.collect(ask, tmp_path)
    assert status["alerts_waiting"] == {"e-mail": 2} and status["hosts_silent"] == ["app-1"]


def test_a_bare_host_has_nothing_to_tell(tmp_path: Path) -> None:
    status = host_status.collect(lambda command: "", tmp_path)
    assert "edge" not in status and "alerts_waiting" not in status
    assert (status["records"], status["certificates"], status["timers"], status["units_failed"]) == (
        {},
        {},
        [],
        [],
    )

# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly look of a host, the calendar on the page, and a scan that says what it has not seen."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from molecule.maintenance.conftest import APPS, HOSTS, Upkeep

ON_DISK = "/var/lib/hardened/updates_pending.json"


@pytest.mark.parametrize("host", HOSTS)
def test_the_look_of_each_week(upkeep: Upkeep, host: str) -> None:
    listed = json.loads(upkeep.on(host, "systemctl list-timers --all --output=json hardened-updates.timer"))
    assert listed[0]["next"] > time.time() * 1e6
    started = time.time()
    # In the cage of its unit, as the timer starts it.
    upkeep.on(host, "systemctl start hardened-updates.service")
    record = upkeep.record(host, "updates_pending")
    assert record["result"] == "ok" and record["last"]
    assert "security_updates" in upkeep.events(host, started - 1)


def test_a_look_that_fails_is_told(upkeep: Upkeep) -> None:
    host = APPS[0]
    broken = "deb [trusted=yes] file:/srv/absent ./"
    upkeep.on(
        host,
        f"echo '{broken}' > /etc/apt/sources.list.d/broken.list; systemctl start hardened-updates.service || true",
    )
    try:
        record = upkeep.record(host, "updates_pending")
        assert record["result"] == "failed" and "absent" in record["problem"]
        output = upkeep.client.playbook("status.yml").stdout
        assert "security updates could not be looked for" in output
    finally:
        upkeep.on(
            host,
            "rm /etc/apt/sources.list.d/broken.list; apt-get update -qq; systemctl start hardened-updates.service",
        )


def test_a_scan_files_what_it_has_found_and_what_it_has_not_seen(upkeep: Upkeep, tmp_path: Path) -> None:
    output = tmp_path / "scan.sarif"
    done = upkeep.client.playbook("scan.yml", "-e", f"output={output}", "-e", "fail_on=never")
    assert done.returncode == 0, done.stdout[-3000:]
    run = json.loads(output.read_text())["runs"][0]
    told = [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    for host in HOSTS:
        assert f"looked at: packages of {host}, by its own apt" in told
    assert any("Python distributions of image" in text for text in told)
    assert output.with_suffix(".txt").read_text().splitlines()[-1]
    page = upkeep.client.playbook("status.yml").stdout
    assert "Calendar" in page and "scan: last 20" in page

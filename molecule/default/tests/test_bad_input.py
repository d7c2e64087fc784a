# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work is refused in one report before anything is changed, whoever finds it: variables or a service's own checker."""

from __future__ import annotations

import json
from pathlib import Path

from labkit.client import Client

STATE = (
    "find /etc /var/lib/hardened -xdev -type f -newermt '{since}' -not -path '*/rehearsal*' -not -name lock"
)
WRONG = {
    "app_log_levle": "ERROR",
    "postgres_settings": {"work_mem": "lots"},
    "reverse_proxy_app_addresses": ["no such host"],
}


def test_one_report_lists_what_variables_and_checkers_find(client: Client, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(WRONG), encoding="utf-8")
    before = client.on("edge-1", "date", "+%F %T").strip()
    done = client.playbook("deploy.yml", "-e", f"@{wrong}")
    assert done.returncode != 0
    assert "PLAY [Give each host its identity]" not in done.stdout
    report = done.stdout.partition("Nothing was changed.")[2]
    expected = ("did you mean app_log_level?", 'invalid value for parameter "work_mem"', "nginx -t -q")
    assert [words for words in expected if words not in report] == []
    hosts = ("edge-1", "app-1", "app-2", "db-1", "log-1")
    written = {host: client.on(host, "sh", "-c", STATE.format(since=before)) for host in hosts}
    assert {host: files for host, files in written.items() if files} == {}

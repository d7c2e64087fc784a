# SPDX-License-Identifier: GPL-3.0-or-later
"""The real playbook verify.yml, from its second play on, against an edge and a collector on the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.fake_edge import (
    DOMAIN,
    HEADERS,
    Authority,
    Behaviour,
    FakeEdge,
    edge,
)

ROOT = Path(__file__).parents[4]
# Nobody on the loopback listens there.
_CLOSED = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


class Site:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority = Authority(root)
        self.logs = {name: root / name for name in ("log-1", "log-2")}
        # Hosts that are only named.
        self.hosts: dict[str, dict[str, Any]] = {"app": {"app-1": {}}}

    def add_edge(self, name: str, fake: FakeEdge) -> None:
        ports = {"verify_https_port": fake.port, "verify_http_port": fake.http_port}
        self.hosts.setdefault("edge", {})[name] = {"ansible_host": "127.0.0.1", **ports}

    def add_collector(self, name: str, **variables: Any) -> None:
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self.hosts.setdefault("logs", {})[name] = {
            "verify_log_directory": str(self.logs[name]),
            **(variables or local),
        }

    def run(self, *arguments: str, **variables: Any) -> tuple[int, str]:
        everywhere = {
            "hardened_domain": DOMAIN,
            "verify_ca_file": str(self.authority.file),
            "verify_protected_paths": [{"path": "/v1/items", "status": [401]}, {"path": "/admin/keys"}],
            "verify_required_headers": [{"name": name} for name in HEADERS],
            "verify_log_deadline": 1,
            "verify_rate_limit_burst": 40,
            # The controller's own task must not try to become anybody.
            "ansible_become_exe": "/nonexistent",
            **variables,
        }
        groups = {group: {"hosts": hosts} for group, hosts in self.hosts.items()}
        (self.root / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"vars": everywhere, "children": groups}})
        )
        (self.root / "ansible.cfg").write_text("[defaults]\ncallback_result_format = yaml\n")
        plays = yaml.safe_load((ROOT / "playbooks/verify.yml").read_text())
        # The first play judges the variables of a whole inventory, which this is not.
        (self.root / "verify.yml").write_text(yaml.safe_dump(plays[1:]))
        # Nor are its application hosts any that could be asked what runs there.
        limit = ["--limit", "all:!app"]
        command = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-i",
            "hosts.yml",
            "verify.yml",
            *limit,
            *arguments,
        ]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.root / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.root / "tmp"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def logging_to(site: Site, fake: FakeEdge, name: str) -> None:
    file = site.logs[name] / "app-1/app.jsonl"
    file.parent.mkdir(parents=True)

    def log(request_id: str) -> None:
        with file.open("a") as stream:
            stream.write(json.dumps({"host": "app-1", "app": {"request_id": request_id}}) + "\n")

    fake.log = log


def test_verdict(site: Site) -> None:
    with edge(Behaviour(site.authority.issue())) as fake:
        logging_to(site, fake, "log-1")
        site.add_edge("edge-1", fake)
        site.add_collector("log-1")
        code, output = site.run()
        assert code == 0, output
        assert "Verified: 21 of 21 checks passed on edge-1, log-1." in output
        assert "from app-1 in stream app after" in output
        assert "tls_1.1" not in output
        fake.requests = 0
        code, output = site.run("-v", "--check")
    assert code == 0, output
    assert "changed=0" in output
    assert "refused: alert 'protocol version'" in output


def test_all_that_is_wrong_is_told_at_once(site: Site) -> None:
    behaviour = Behaviour(
        site.authority.issue(), server="nginx/1.22.1", statuses={"/v1/items": 200}, headers={}
    )
    with edge(behaviour) as fake:
        site.add_edge("edge-1", fake)
        site.add_collector("log-1")
        code, output = site.run()
    assert code != 0
    for words in (
        *("server_version", "protected GET /v1/items", "header Strict-Transport-Security", "log_line"),
        *("there is no such directory", "rollback.yml", "server_tokens off"),
    ):
        assert words in output, output


def test_one_of_two_collectors_is_enough(site: Site) -> None:
    with edge(Behaviour(site.authority.issue())) as fake:
        logging_to(site, fake, "log-2")
        site.add_edge("edge-1", fake)
        site.add_collector("log-1")
        site.add_collector("log-2")
        code, output = site.run()
    assert code == 0, output


def test_unreachable_collector_hides_nothing(site: Site) -> None:
    with edge(Behaviour(site.authority.issue(), server="nginx/1.22.1")) as fake:
        site.add_edge("edge-1", fake)
        site.add_collector("log-1", **_CLOSED)
        code, output = site.run()
    assert code != 0
    assert "UNREACHABLE" in output
    assert "server_version" in output


def test_limited_to_the_edge(site: Site) -> None:
    with edge(Behaviour(site.authority.issue())) as fake:
        site.add_edge("edge-1", fake)
        site.add_collector("log-1", **_CLOSED)
        code, output = site.run("--limit", "edge")
        assert code == 0, output
        assert "no collector takes part in this run" in output
        fake.requests, fake.behaviour.server = 0, "nginx/1.22.1"
        code, output = site.run("--limit", "edge")
    assert code != 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory has before and after a stage: when it runs, where, what it is told, and what comes of one that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from molecule.migrate.conftest import APPS, AT_ONCE, Deployment, refused, succeeded

STAGES = [
    f"{when}_{stage}"
    for stage in ("fill", "promote", "rollback", "migrate", "verify")
    for when in ("before", "after")
]
MARK = """---
- name: Say what was told
  ansible.builtin.copy:
    content: "{{ hardened_hook | to_json }}"
    dest: "/run/hook-{{ hardened_hook.stage }}.json"
    mode: "0600"
"""
FAIL = """---
- name: Ask somebody
  ansible.builtin.fail:
    msg: nobody is there
"""


@pytest.fixture(scope="module", autouse=True)
def files(deployment: Deployment) -> Iterator[Path]:
    directory = deployment.client.inventory / "hooks"
    directory.mkdir(exist_ok=True)
    for name, text in (("mark.yml", MARK), ("fail.yml", FAIL), ("play.yml", "---\n- hosts: all\n")):
        (directory / name).write_text(text, encoding="utf-8")
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def hooks(**of: list[str]) -> tuple[str, str]:
    return "-e", json.dumps({"hardened_hooks": of})


def told(deployment: Deployment, host: str, stage: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(deployment.client.on(host, "cat", f"/run/hook-{stage}.json"))
    return loaded


def test_each_stage_has_its_hooks_where_it_happens(deployment: Deployment) -> None:
    everything = hooks(**{stage: ["hooks/mark.yml"] for stage in STAGES})
    release = ("-e", "release=hooked", "-e", "app_log_level=ERROR", *AT_ONCE, *everything)
    succeeded(deployment.playbook("release.yml", *release))
    succeeded(deployment.playbook("migrate.yml", "-e", "phase=backfill", *everything))
    record = deployment.record()
    what = {key: record[key] for key in ("release", "image", "slot")}
    for stage, hosts in {"fill": APPS, "promote": ["edge-1"], "migrate": APPS[:]}.items():
        for host in hosts:
            before, after = (told(deployment, host, f"{when}_{stage}") for when in ("before", "after"))
            assert {key: before[key] for key in what} == what
            assert (before["outcome"], before["lock_token"]) == ("", after["lock_token"])
            assert after["lock_token"] > 0
            assert after["outcome"] == {"fill": "filled", "promote": "promoted", "migrate": "backfill"}[stage]
    succeeded(deployment.playbook("rollback.yml", *everything))
    for stage in ("before_rollback", "after_rollback", "before_verify", "after_verify"):
        assert told(deployment, "edge-1", stage)["release"] == deployment.record()["release"]
    elsewhere = "ls /run/hook-* 2>/dev/null | wc -l"
    assert deployment.client.on("db-12", "sh", "-c", elsewhere).strip() == "0"


@pytest.mark.parametrize("stage", ["before_fill", "before_promote"])
def test_a_hook_that_fails_before_a_stage_stops_there(deployment: Deployment, stage: str) -> None:
    serving = deployment.record()
    links = deployment.state()[2]
    release = ("-e", "release=stopped", "-e", "app_log_level=ERROR", *AT_ONCE)
    said = refused(deployment.playbook("release.yml", *release, *hooks(**{stage: ["hooks/fail.yml"]})))
    assert "nobody is there" in said
    assert (deployment.record(), deployment.state()[2]) == (serving, links)


def test_a_hook_that_fails_after_a_stage_is_told_and_undoes_nothing(deployment: Deployment) -> None:
    release = ("-e", "release=done", "-e", "app_log_level=ERROR", *AT_ONCE)
    failing = hooks(after_fill=["hooks/fail.yml"], after_promote=["hooks/fail.yml", "hooks/mark.yml"])
    output = succeeded(deployment.playbook("release.yml", *release, *failing))
    assert (
        'after_promote: "Ask somebody" failed on edge-1: nobody is there. What was done before it stays done.'
        in output
    )
    assert 'after_fill: "Ask somebody" failed on app-13' in output
    assert deployment.record()["release"] == "done"
    succeeded(deployment.playbook("rollback.yml"))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"before_fil": ["hooks/mark.yml"]}, "did you mean before_fill?"),
        ({"before_fill": ["hooks/none.yml"]}, "NO_SUCH_FILE"),
        ({"before_fill": ["hooks/play.yml"]}, "must be a list of tasks: the entry at line 2 is none"),
        ({"before_fill": "hooks/mark.yml"}, "hardened_hooks.before_fill"),
    ],
)
def test_what_is_no_hook_is_found_before_anything_happens(
    deployment: Deployment, wanted: dict[str, Any], words: str
) -> None:
    assert words in refused(deployment.playbook("release.yml", "-e", json.dumps({"hardened_hooks": wanted})))

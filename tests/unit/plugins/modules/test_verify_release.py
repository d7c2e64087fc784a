# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, beside what the record says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.verify_summary import Summary
from ansible_collections.techsaas.hardened.plugins.modules import verify_release

IMAGE = "registry/api@sha256:1"
RECORD = {"slot": "green", "release": "two", "image": IMAGE, "promoted_at": "2026-11-24T07:00:00.000000Z"}
RUNNING = {"State": {"Running": True}, "Image": "sha256:aa", "Config": {"Image": IMAGE}}


class Engine:
    def __init__(self, container: dict[str, Any], image: str = "sha256:aa") -> None:
        self.running = container
        self.image = image

    def container(self, name: str) -> dict[str, Any]:
        assert name == "app-green"
        return self.running

    def image_id(self, reference: str) -> str:
        assert reference == IMAGE
        return self.image


def examine(record: Any, container: dict[str, Any], image: str = "sha256:aa") -> tuple[str, str]:
    return verify_release.examine(record, Engine(container, image))  # type: ignore[arg-type]


def test_what_is_recorded_runs() -> None:
    assert examine(RECORD, RUNNING) == (f"release two runs as {IMAGE}", "")


@pytest.mark.parametrize(
    ("record", "container", "image", "words"),
    [
        (None, RUNNING, "sha256:aa", "the release record cannot be read"),
        (RECORD, {}, "sha256:aa", "no container app-green"),
        (
            RECORD,
            {**RUNNING, "State": {"Running": False}},
            "sha256:aa",
            "the container app-green does not run",
        ),
        (
            RECORD,
            {**RUNNING, "Image": "sha256:bb", "Config": {"Image": "evil"}},
            "sha256:aa",
            "evil runs in slot green",
        ),
        (RECORD, RUNNING, "", f"{IMAGE} runs in slot green"),
    ],
)
def test_anything_else_is_said_with_what_to_do(
    record: Any, container: dict[str, Any], image: str, words: str
) -> None:
    seen, fix = examine(record, container, image)
    assert seen.startswith(words)
    assert fix


def test_the_report_tells_it_beside_all_other_checks() -> None:
    good, bad = (
        verify_release.result("release two runs", "", 0.0123),
        verify_release.result("evil runs", "mend it", 0),
    )
    summary = Summary({}, {}, {"app-1": good, "app-2": bad})
    assert [(row["variable"], row["hosts"]) for row in summary.rows] == [("release", ["app-2"])]
    text = summary.text(verbose=True)
    assert "1 of 2 checks passed on app-1, app-2" in text
    assert "12.3 ms  release two runs" in text

# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence is kept whole, once, and under no other name."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.tests.unit.plugins.modules.calling import Host

CONTENT = b"archive"
GIVEN: dict[str, Any] = {
    "case": "c1",
    "host": "app-1",
    "name": "app-1-1.tar.gz",
    "content": base64.b64encode(CONTENT).decode(),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host("incident_evidence", tmp_path / "state" / "incidents")


def test_kept_once(host: Host) -> None:
    assert host.call(check=True, **GIVEN)["changed"] and not host.path.exists()
    done = host.call(**GIVEN)
    kept = Path(done["path"])
    assert done["changed"] and kept == host.path / "c1" / "app-1" / "app-1-1.tar.gz"
    assert kept.read_bytes() == CONTENT and kept.stat().st_mode & 0o777 == 0o400
    assert not host.call(**GIVEN)["changed"]
    assert [entry["event"] for entry in host.audit] == ["evidence_kept"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"content": "bm90IGl0"}, "is not what app-1 has taken"),
        ({"content": "%"}, "is not what app-1 has taken"),
        ({"host": "../.."}, "host: letters"),
        ({"case": "", "name": "/etc/passwd"}, "case, name: letters"),
    ],
)
def test_anything_else_is_refused(host: Host, wrong: dict[str, Any], words: str) -> None:
    refused = host.call(**{**GIVEN, **wrong})
    assert refused["failed"] and words in refused["msg"]
    assert not host.path.exists()

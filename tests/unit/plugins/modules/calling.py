# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules called as Ansible calls them, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# As Ansible's own test support does: arguments go in as the module's input, with the serialization profile it expects.
RUNNER = """
import json, sys
from pathlib import Path
from ansible.module_utils.testing import patch_module_args
from ansible_collections.techsaas.hardened.plugins.module_utils import records
from ansible_collections.techsaas.hardened.plugins.modules import {module} as module
words = sys.argv[1:]
{prepare}
with patch_module_args(json.load(sys.stdin)):
    module.main()
"""
# A record of the test's own. Ansible's line about each call goes the same way as the audit trail's.
RECORD = """
module.RECORD, trail = map(Path, words)
records.syslog.openlog = lambda *_: None
records.syslog.syslog = lambda _, text: trail.open("a").write(f"{text}\\n") if text[0] == "{" else None
"""


def call(
    module: str, options: dict[str, Any], *words: str, prepare: str = "", check: bool = False
) -> dict[str, Any]:
    arguments = {
        **options,
        "_ansible_check_mode": check,
        "_ansible_diff": True,
        "_ansible_remote_tmp": "/tmp",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER.replace("{module}", module).replace("{prepare}", prepare), *words],
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Host:
    """A host with one record, and the trail of its changes."""

    def __init__(self, module: str, path: Path) -> None:
        self.module = module
        self.path = path
        self.audit_path = path.parent.parent / "audit"

    def call(self, check: bool = False, **options: Any) -> dict[str, Any]:
        places = (str(self.path), str(self.audit_path))
        return call(self.module, options, *places, prepare=RECORD, check=check)

    @property
    def stored(self) -> Any:
        return json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def audit(self) -> list[Any]:
        if not self.audit_path.exists():
            return []
        return [json.loads(line) for line in self.audit_path.read_text(encoding="utf-8").splitlines()]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers what a scan has found, and files it; documented by the module of this name."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils.scan_report import THRESHOLDS, Scan
from ansible_collections.techsaas.hardened.plugins.plugin_utils.clear_secrets import (
    SecretFinder,
    inventory_files,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import (
    ROOT,
    read_specification,
)


class ActionModule(ActionBase):  # type: ignore[misc]
    """Action of techsaas.hardened.scan_report."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                **{
                    name: {"type": "str", "required": True}
                    for name in ("updates", "stale", "image", "compared")
                },
                "inventory": {"type": "list", "elements": "str", "default": []},
                "output": {"type": "path", "required": True},
                "fail_on": {"type": "str", "choices": list(THRESHOLDS), "default": "high"},
                "audit_timeout": {"type": "int", "default": 120},
            }
        )
        hostvars = (task_vars or {}).get("hostvars", {})
        scan = Scan()
        images: dict[str, tuple[Any, Any]] = {}
        for host in options["hosts"]:
            known = hostvars[host]
            scan.host(host, known.get(options["updates"]), known.get(options["stale"]))
            found = known.get(options["image"]) or {}
            if "problem" in found:
                # Application hosts serve the same image; whichever could be compared stands for it.
                compared = known.get(options["compared"]) or {}
                if str(found["image"]) not in images or not compared.get("skipped"):
                    images[str(found["image"])] = (found, None if compared.get("skipped") else compared)
        for image, (found, compared) in images.items():
            contents = found.get("contents") or {}
            scan.image(image, str(found["problem"]), contents, compared)
            distributions = contents.get("python") or {}
            if distributions:
                problem, answers = _audit(distributions, options["audit_timeout"])
                scan.python(image, list(distributions), problem, answers)
        files, places = _clear(options["inventory"])
        scan.secrets(files, places, "the inventory")
        output = Path(options["output"])
        if not self._task.check_mode:
            _write(output, scan)
        return {
            "changed": False,
            "lines": scan.lines,
            "findings": [one.__dict__ for one in scan.findings],
            "over": [one.__dict__ for one in scan.over(options["fail_on"])],
            "not_scanned": scan.not_scanned,
            "output": str(output),
        }


def _clear(sources: list[str]) -> tuple[int, list[tuple[str, str, int]]]:
    finder = SecretFinder(read_specification(ROOT, DataLoader()).secrets())
    files = [path for path in inventory_files(sources) if not _is_hidden(path, sources)]
    return len(files), [
        (str(path), place.variable, place.line) for path in files for place in finder.in_file(path)
    ]


def _is_hidden(path: Path, sources: list[str]) -> bool:
    """Our own reports beside the inventory, and the authority's certificates, set no variables."""
    parts = {
        part for source in sources if path.is_relative_to(source) for part in path.relative_to(source).parts
    }
    return bool(parts & {".reports", ".pki"})


def _audit(distributions: Mapping[str, str], timeout: int) -> tuple[str, list[dict[str, Any]]]:
    """Why nothing can be said, or what pip-audit says of each."""
    beside = Path(sys.executable).parent / "pip-audit"
    program = str(beside) if beside.exists() else shutil.which("pip-audit")
    if not program:
        return "pip-audit is not installed on the controller", []
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(
            "".join(f"{name}=={version}\n" for name, version in distributions.items()), encoding="utf-8"
        )
        command = [
            program,
            "--requirement",
            str(wanted),
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
            loaded = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            return f"pip-audit did not end within {timeout} s", []
        except ValueError:
            words = (done.stderr.strip().splitlines() or ["no words"])[-1]
            return f"pip-audit could not get its data: {words[:200]}", []
    dependencies: list[dict[str, Any]] = loaded["dependencies"]
    return "", dependencies


def _write(output: Path, scan: Scan) -> None:
    finished = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, text in (
        (output, json.dumps(scan.sarif(finished), indent=2) + "\n"),
        (output.with_suffix(".txt"), "\n".join(scan.lines) + "\n"),
    ):
        temporary = path.with_name(f".{path.name}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout is one collection, under one name and one version."""

from __future__ import annotations

import fnmatch
import importlib
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from house import ROOT, load

CONTENT = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "changelogs", "docs", "galaxy.yml"}
CONTENT |= {"inventories", "meta", "playbooks", "plugins", "roles"}


def test_this_checkout_is_what_gets_imported() -> None:
    plugins = importlib.import_module("ansible_collections.techsaas.hardened.plugins")
    assert {Path(folder).resolve() for folder in plugins.__path__} == {ROOT / "plugins"}


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == load(ROOT / "galaxy.yml")["version"]


def test_artifact_holds_content_only() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {path.split(os.sep)[0] for path in listed.stdout.splitlines()}
    ignored = load(ROOT / "galaxy.yml")["build_ignore"]
    unknown = [name for name in top - CONTENT if not any(fnmatch.fnmatch(name, rule) for rule in ignored)]
    assert sorted(unknown) == [], "add these to build_ignore in galaxy.yml, or to CONTENT here"


def test_lock_names_public_registries_only() -> None:
    for lock in (ROOT / "uv.lock", *ROOT.glob("examples/*/uv.lock")):
        text = lock.read_text(encoding="utf-8")
        hosts = set(re.findall(r"[a-z]+://([^/\"]*)", text))
        assert hosts <= {"pypi.org", "files.pythonhosted.org"}, lock


SCENARIOS = sorted(path.parent for path in ROOT.glob("molecule/*/molecule.yml"))


@pytest.mark.parametrize("scenario", [pytest.param(path, id=path.name) for path in SCENARIOS])
def test_scenario_verifies_something(scenario: Path) -> None:
    # Molecule only remarks that it found no tests, and passes.
    assert list((scenario / "tests").glob("test_*.py")), f"molecule/{scenario.name}/tests/ has no tests"

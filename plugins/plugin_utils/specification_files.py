# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the specification from a collection's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.validation_spec import Specification, build

# This collection.
ROOT = Path(__file__).resolve().parents[2]
_FILES = {
    "argument_specs": "meta/argument_specs.yml",
    "validation": "meta/validation.yml",
    "defaults": "defaults/main.yml",
    # Or a directory of that name, whose files Ansible merges.
    "vars": "vars/main.yml",
}


def read_specification(root: Path, loader: Any) -> Specification:
    """`root` has `meta/environment.yml` and `roles`; raises SpecificationError when they are wrong."""
    environment = _read(root / "meta/environment.yml", loader)
    named = {role for roles in (environment.get("groups") or {}).values() for role in roles or ()}
    present = {path.parent.parent.name for path in (root / "roles").glob("*/meta/argument_specs.yml")}
    roles = {
        role: {kind: _read(root / "roles" / role / name, loader) for kind, name in _FILES.items()}
        for role in sorted(named | present)
        if (root / "roles" / role).is_dir()
    }
    return build(environment, roles)


def rotating_secrets(loader: Any) -> list[dict[str, str]]:
    """The secrets that the collection's roles use, with class and kind of each."""
    return [dict(row) for row in _read(ROOT / "meta/rotation.yml", loader)["rotation"]]


def _read(path: Path, loader: Any) -> dict[str, Any]:
    directory = path.with_suffix("")
    if directory.is_dir():
        files = [_read(part, loader) for part in sorted(directory.glob("*.yml"))]
        return {name: value for part in files for name, value in part.items()}
    if not path.is_file():
        return {}
    # "unsafe" spares a deep copy of what is only read here.
    content = loader.load_from_file(str(path), unsafe=True, trusted_as_template=True)
    return dict(content or {})

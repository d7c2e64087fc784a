# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the directory of a new environment, as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.techsaas.hardened.plugins.module_utils.environment_files import (
    GROUPS,
    Environment,
    files,
    problems,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    Name,
    SecretProblem,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import Settings
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.vault_file import VaultFile
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_generator import Generator, Request

_SPEC: dict[str, Any] = {
    "path": {"type": "path", "default": ""},
    "name": {"type": "str", "default": ""},
    "domain": {"type": "str", "default": ""},
    "image": {"type": "str", "default": ""},
    "image_keys": {"type": "list", "elements": "path", "default": [], "no_log": False},
    "hosts": {
        "type": "dict",
        "default": {},
        "options": {group: {"type": "list", "elements": "str", "default": []} for group in GROUPS},
    },
    "user": {"type": "str", "default": "automation"},
    "settings": {"type": "dict", "default": {}},
    "vault_id": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(argument_spec=_SPEC)
        path = Path(options["path"]).absolute() if options["path"] else None
        found = [] if path else ["dir: must say where; -e dir=environments/production"]
        if path and path.exists() and (not path.is_dir() or any(path.iterdir())):
            found.append(f"dir: {path} is there already, and is not overwritten; give another one")
        keys = [self._key(name, found) for name in options["image_keys"]]
        wanted = Environment(
            name=options["name"] or (path.name if path else ""),
            domain=options["domain"],
            hosts={
                group: [name.strip() for name in names if name.strip()]
                for group, names in (options["hosts"] or {}).items()
            },
            image=options["image"],
            user=options["user"],
            image_keys=keys,
            settings=options["settings"],
        )
        found += problems(wanted)
        if not self._loader._vault.secrets:
            found.append(
                "vault password: must be given, for the file of the secrets; openssl rand -base64 32 > FILE, chmod 600 FILE, "
                "--vault-password-file FILE"
            )
        if found or path is None:
            lines = "\n- ".join(dict.fromkeys(found))
            return {
                "failed": True,
                "changed": False,
                "msg": f"Nothing was made:\n- {lines}",
                "problems": found,
            }
        made = sorted([*files(wanted), ".secrets/secrets.yml", ".secrets/registry.json"])
        if not self._task.check_mode:
            try:
                self._make(path, wanted, options["vault_id"])
            except SecretProblem as problem:
                return {"failed": True, "changed": False, "msg": f"Nothing was made: {problem.message}"}
        return {"changed": True, "path": str(path), "files": made}

    def _make(self, path: Path, wanted: Environment, vault_id: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, so that it gets its name in one step, when all of it is there.
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            for name, content in files(wanted).items():
                file = scratch / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")
            vault = scratch / ".secrets" / "secrets.yml"
            backend = VaultFile(Settings(file=str(vault), vault_id=vault_id), self._loader)
            for class_name, form, names in wanted.secrets:
                request = Request(tuple(Name(name) for name in names), class_name, form)
                Generator(backend, str(vault.with_name("registry.json")), request).run()
            for left in (*vault.parent.glob("*.lock"), *vault.parent.glob("*.bak")):
                left.unlink()
            scratch.chmod(0o755)
            os.rename(scratch, path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _key(self, name: str, found: list[str]) -> str:
        try:
            return Path(name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            found.append(f"image_key: {name} cannot be read")
            return "-----BEGIN PUBLIC KEY-----"

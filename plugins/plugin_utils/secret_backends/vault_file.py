# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML file that ansible-vault has encrypted; opened with the passwords of the run, decrypted in memory only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.parsing.vault import (
    AnsibleVaultFormatError,
    EncryptedString,
    VaultLib,
    is_encrypted,
    match_encrypt_secret,
    parse_vaulttext_envelope,
)

from . import vault_text
from .base import Name, Secret, SecretProblem, key_missing, not_found, text_of
from .replace import replace
from .settings import Settings, incomplete, setting

_FORMAT_FIX = "restore it from version control, or from the copy FILE.bak beside it"


class VaultFile:
    def __init__(self, settings: Settings, loader: Any) -> None:
        if not settings.file:
            raise incomplete("vault_file", [f"the path of the file ({setting('file')})"])
        # Links stay links: what they lead to is read, and replaced.
        self.path: str = os.path.realpath(loader.path_dwim(settings.file))
        self._settings = settings
        self._loader = loader
        self._read: tuple[tuple[int, ...], Mapping[str, Any]] | None = None

    def place(self, name: Name) -> str:
        return self.path

    def read(self, name: Name) -> Secret:
        document = self._document()
        if name.path not in document:
            raise not_found(f"the secret '{name.path}'", self.path)
        value = document[name.path]
        if name.key is not None:
            if not isinstance(value, Mapping) or name.key not in value:
                raise key_missing(name, self.path)
            value = value[name.key]
        if isinstance(value, EncryptedString):
            value = self._inline(value, name)
        return Secret(text_of(value, name))

    def write(self, values: Mapping[Name, str]) -> dict[Name, Secret]:
        before, text, secret, vault_id = self._open_to_write()
        changed = self._edited(text, values)
        vault: VaultLib = self._vault()
        encrypted = bytes(vault.encrypt(changed, secret=secret, vault_id=vault_id))
        if self._decrypt(encrypted)[0] != changed:
            raise self._format_problem()
        replace(self.path, before, encrypted)
        self._read = None
        return {name: Secret(value) for name, value in values.items()}

    def _document(self) -> Mapping[str, Any]:
        signature, encrypted = self._bytes()
        if self._read is None or self._read[0] != signature:
            text = self._decrypt(encrypted)[0]
            self._read = (signature, self._parse(text))
        return self._read[1]

    def _bytes(self) -> tuple[tuple[int, ...], bytes]:
        problem: SecretProblem
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                return (status.st_ino, status.st_mtime_ns, status.st_size), file.read()
        except FileNotFoundError:
            problem = SecretProblem(
                "NOT_FOUND",
                f"the vault file {self.path} does not exist",
                "correct hardened_secrets_file, or create it with secret_generate",
            )
        except OSError:
            problem = SecretProblem(
                "DENIED", f"the vault file {self.path} cannot be read", "correct its owner or mode"
            )
        raise problem

    def _decrypt(self, encrypted: bytes) -> tuple[str, Any]:
        """The text, and the password that opened it."""
        if not is_encrypted(encrypted):
            raise SecretProblem(
                "CLEAR_TEXT",
                f"the vault file {self.path} is not encrypted",
                f"ansible-vault encrypt {self.path}",
            )
        vault = self._vault()
        problem = self._format_problem()
        try:
            text, _vault_id, secret = vault.decrypt_and_get_vault_id(encrypted)
            return bytes(text).decode("utf-8"), secret
        except (AnsibleVaultFormatError, UnicodeDecodeError, ValueError):
            pass
        except AnsibleError:
            problem = self._password_problem(encrypted, vault)
        raise problem

    def _parse(self, text: str) -> Mapping[str, Any]:
        broken = False
        document: Any = None
        try:
            document = self._loader.load(text, file_name=self.path, show_content=False)
        except AnsibleError:
            broken = True
        if broken:
            raise self._yaml_problem(_broken_line(text))
        if document is not None and not isinstance(document, Mapping):
            raise self._yaml_problem(1)
        return document or {}

    def _inline(self, value: Any, name: Name) -> str:
        try:
            return str(value)
        except AnsibleError:
            pass
        raise SecretProblem(
            "VAULT_PASSWORD",
            f"none of the vault passwords of this run opens the value of '{name}' in {self.path}",
            "give the right one with --vault-id or --vault-password-file",
        )

    def _open_to_write(self) -> tuple[bytes | None, str, Any, str | None]:
        """What lies there, its text, and how to encrypt it again."""
        if os.path.lexists(self.path):
            encrypted = self._bytes()[1]
            text, secret = self._decrypt(encrypted)
            return encrypted, text, secret, parse_vaulttext_envelope(encrypted, default_vault_id="default")[3]
        vault_id, secret = self._password_for_new()
        return None, "", secret, vault_id

    def _password_for_new(self) -> tuple[str | None, Any]:
        secrets = self._vault().secrets or []
        wanted = self._settings.vault_id or C.DEFAULT_VAULT_ENCRYPT_IDENTITY
        ids = sorted({vault_id for vault_id, _secret in secrets})
        if not secrets:
            raise self._no_password()
        if (wanted and wanted not in ids) or (not wanted and len(ids) > 1):
            raise SecretProblem(
                "VAULT_ID",
                f"the vault file {self.path} is new, and which of the vault passwords is for it is not said",
                f"set {setting('vault_id')} to one of: {', '.join(ids)}",
            )
        vault_id, secret = match_encrypt_secret(secrets, encrypt_vault_id=wanted or None)
        return vault_id, secret

    def _edited(self, text: str, values: Mapping[Name, str]) -> str:
        self._parse(text)
        try:
            return vault_text.set_values(
                text, {(name.path, name.key): value for name, value in values.items()}
            )
        except (vault_text.UneditableError, yaml.YAMLError):
            pass
        raise SecretProblem(
            "VAULT_SHAPE",
            f"the vault file {self.path} is written in a way that cannot be changed without touching other values",
            f"write one NAME: VALUE a line, without anchors and braces: ansible-vault edit {self.path}",
        )

    def _vault(self) -> Any:
        # The loader keeps the passwords of the run in here, and hands them out in no other way.
        return self._loader._vault

    def _no_password(self) -> SecretProblem:
        return SecretProblem(
            "VAULT_PASSWORD",
            f"the vault file {self.path} is encrypted, and this run was given no vault password",
            "give it with --vault-id, --vault-password-file, or ANSIBLE_VAULT_PASSWORD_FILE",
        )

    def _password_problem(self, encrypted: bytes, vault: Any) -> SecretProblem:
        ids = sorted({vault_id for vault_id, _secret in vault.secrets or []})
        if not ids:
            return self._no_password()
        wanted = parse_vaulttext_envelope(encrypted, default_vault_id="default")[3]
        return SecretProblem(
            "VAULT_PASSWORD",
            f"none of the vault passwords of this run opens {self.path}: it is for the vault id '{wanted}', "
            f"and given are: {', '.join(ids)}",
            f"give its password with --vault-id {wanted}@FILE",
        )

    def _format_problem(self) -> SecretProblem:
        return SecretProblem("VAULT_FORMAT", f"the vault file {self.path} is damaged", _FORMAT_FIX)

    def _yaml_problem(self, line: int | None) -> SecretProblem:
        where = f" in line {line} of its clear text" if line else ""
        return SecretProblem(
            "YAML",
            f"the vault file {self.path} is no YAML of NAME: VALUE{where}",
            f"ansible-vault edit {self.path}",
        )


def _broken_line(text: str) -> int | None:
    # Slow, and only asked when the fast parser has failed, whose words may quote the text.
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return mark.line + 1 if mark else None
    except yaml.YAMLError:
        pass
    return None

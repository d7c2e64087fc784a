# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenBao and HashiCorp Vault: version 2 of the key-value engine, by AppRole or token."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking

from .base import Name, SecretProblem, library, utc
from .remote import Fetched, RemoteBackend
from .settings import Settings, check_ca_file, check_url, credential, incomplete, setting

_TOKEN = ("HARDENED_SECRETS_TOKEN", "BAO_TOKEN", "VAULT_TOKEN")
_ROLE_ID = ("HARDENED_SECRETS_ROLE_ID", "BAO_ROLE_ID", "VAULT_ROLE_ID")
_SECRET_ID = ("HARDENED_SECRETS_SECRET_ID", "BAO_SECRET_ID", "VAULT_SECRET_ID")
# A token this young has not ended: what it may not do, it may not do.
_FRESH_SECONDS = 5.0


class OpenBao(RemoteBackend):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._token = ""
        self._login = 0.0

    def place(self, name: Name) -> str:
        return f"{self.settings.url}, mount {self.settings.mount}, path {self.full_path(name)}"

    def connect(self) -> Any:
        settings = self.settings
        token, role_id, secret_id = self._credentials()
        hvac = library("hvac", settings.backend)
        check_url(settings.url)
        check_ca_file(settings.ca_file)
        client = hvac.Client(
            url=settings.url,
            verify=settings.ca_file or True,
            timeout=settings.deadline,
            namespace=settings.namespace or None,
            token="",  # or it takes one from the environment or the home directory
        )
        if token:
            client.token = token
        elif self._token:
            # Logged in before this process was forked off.
            client.token = self._token
        else:
            self._log_in(client, role_id, secret_id)
        return client

    def fetch(self, name: Name) -> Fetched:
        answer = self._tried(self._read, name)
        if answer is None or answer["data"]["data"] is None:
            raise self.missing(name)
        return self._as_fetched(answer["data"]["data"], answer["data"]["metadata"])

    def store(self, name: Name, value: str) -> Fetched:
        answer = self._tried(self._read, name)
        current: Any = answer["data"] if answer else {"data": None, "metadata": {"version": 0}}
        data = {**(current["data"] or {}), name.key or self.settings.field: value}
        # Check-and-set: what somebody else wrote meanwhile is not lost.
        written = self.client().secrets.kv.v2.create_or_update_secret(
            path=self.full_path(name),
            secret=data,
            cas=int(current["metadata"]["version"]),
            mount_point=self.settings.mount,
        )
        return self._as_fetched(data, written["data"])

    def problem_of(self, error: BaseException) -> SecretProblem:
        hvac, requests = library("hvac", "openbao"), library("requests", "openbao")
        known, net = hvac.exceptions, requests.exceptions
        if isinstance(error, (known.Forbidden, known.Unauthorized)):
            return self._denied()
        if isinstance(error, known.InvalidPath):
            return self.unreachable(f"has no key-value engine at the mount {self.settings.mount}")
        if isinstance(error, known.InvalidRequest):
            return self._bad_request(error)
        if isinstance(error, known.VaultDown):
            return self.unreachable("is sealed or in maintenance")
        if isinstance(error, known.VaultError):
            return self.unreachable("answers with an error of its own")
        if isinstance(error, net.SSLError):
            return self.untrusted(error)
        if isinstance(error, net.Timeout):
            return self._too_slow()
        if isinstance(error, net.ConnectionError):
            return self.unreachable("cannot be reached")
        return self.unreachable("does not answer like one")

    def _credentials(self) -> tuple[str, str, str]:
        settings = self.settings
        token = credential(_TOKEN, settings.token_file, "token_file")
        role_id = credential(_ROLE_ID, settings.role_id_file, "role_id_file")
        secret_id = credential(_SECRET_ID, settings.secret_id_file, "secret_id_file")
        missing = [] if settings.url else [f"the address ({setting('url')})"]
        if not token and not (role_id or secret_id):
            missing.append(
                f"a token ({_TOKEN[0]} in the environment, or {setting('token_file')}), or a role id and a secret id "
                f"({_ROLE_ID[0]} and {_SECRET_ID[0]}, or {setting('role_id_file')} and {setting('secret_id_file')})"
            )
        elif not token and not role_id:
            missing.append(f"the role id ({_ROLE_ID[0]} in the environment, or {setting('role_id_file')})")
        elif not token and not secret_id:
            missing.append(
                f"the secret id ({_SECRET_ID[0]} in the environment, or {setting('secret_id_file')})"
            )
        if missing:
            raise incomplete(settings.backend, missing)
        # Who gives a role means the role, whatever token lies around in the environment.
        return ("", role_id, secret_id) if role_id and secret_id else (token, role_id, secret_id)

    def _log_in(self, client: Any, role_id: str, secret_id: str) -> None:
        answer = client.auth.approle.login(
            role_id=role_id, secret_id=secret_id, mount_point=self.settings.auth_mount
        )
        # hvac has put it into the client; remembered for the processes that are forked off from this one.
        self._token = secret_masking.register(answer["auth"]["client_token"])
        self._login = time.monotonic()

    def _tried(self, operation: Any, name: Name) -> Any:
        """Once more after a new login where the token of an earlier login has ended."""
        hvac = library("hvac", "openbao")
        client = self.client()
        try:
            return operation(client, name)
        except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
            if not self._token or time.monotonic() - self._login < _FRESH_SECONDS:
                raise
        self._token, self._client = "", None
        return operation(self.client(), name)

    def _read(self, client: Any, name: Name) -> Any:
        """None where nothing was ever written; without data where the newest version was deleted."""
        hvac = library("hvac", "openbao")
        try:
            return client.secrets.kv.v2.read_secret_version(
                path=self.full_path(name), mount_point=self.settings.mount, raise_on_deleted_version=False
            )
        except hvac.exceptions.InvalidPath:
            return None

    def _as_fetched(self, data: Any, metadata: Any) -> Fetched:
        return Fetched(data, str(metadata["version"]), utc(metadata["created_time"]))

    def _denied(self) -> SecretProblem:
        return SecretProblem(
            "DENIED",
            f"the secrets backend {self.settings.backend} at {self.settings.url} denies access below "
            f"{self.settings.mount}/{self.settings.path}",
            "check that the token has not ended, and that its policy allows the path",
        )

    def _bad_request(self, error: BaseException) -> SecretProblem:
        if "check-and-set" in str(error):
            return SecretProblem(
                "CONFLICT",
                "somebody else changed the secret at the same time",
                "look who it was, and run this again",
            )
        # Whoever is no such server answers without its list of errors.
        if self._client is None and getattr(error, "errors", None):
            return SecretProblem(
                "DENIED",
                f"the secrets backend {self.settings.backend} at {self.settings.url} refuses the role id or the secret id",
                "give those of the role, and make a new secret id where it has ended",
            )
        return self.unreachable("refuses the request as invalid")

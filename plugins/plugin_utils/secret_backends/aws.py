# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Secrets Manager: a secret is a text, or a JSON object of which NAME.KEY is one value."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking

from .base import Name, SecretProblem, key_missing, library, text_of, utc
from .remote import Fetched, RemoteBackend
from .settings import check_ca_file, check_private, check_url, incomplete, setting

_DENIED = {
    "AccessDeniedException",
    "AccessDenied",
    "AuthFailure",
    "DecryptionFailure",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


class AwsSecretsManager(RemoteBackend):
    def place(self, name: Name) -> str:
        return f"AWS Secrets Manager, {self.full_path(name)}"

    def address(self) -> str:
        return (
            self.settings.url
            or f"AWS Secrets Manager ({self.settings.region or 'region of the environment'})"
        )

    def connect(self) -> Any:
        settings = self.settings
        session = self._session()
        region = settings.region or os.environ.get("AWS_REGION") or session.region_name
        missing = [] if region else [f"the region ({setting('region')}, or AWS_REGION in the environment)"]
        credentials = session.get_credentials()
        if credentials is None:
            missing.append(
                "credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
                f"{setting('profile')}, {setting('credentials_file')}, or a role of the machine)"
            )
        if missing:
            raise incomplete(settings.backend, missing)
        for value in credentials.get_frozen_credentials():
            if isinstance(value, str):
                secret_masking.register(value)
        if settings.url:
            check_url(settings.url)
        check_ca_file(settings.ca_file)
        config = library("botocore.config", settings.backend).Config(
            connect_timeout=settings.deadline,
            read_timeout=settings.deadline,
            retries={"total_max_attempts": 2},
        )
        return session.client(
            "secretsmanager",
            region_name=region,
            endpoint_url=settings.url or None,
            verify=settings.ca_file or None,
            config=config,
        )

    def fetch(self, name: Name) -> Fetched:
        answer = self.client().get_secret_value(SecretId=self.full_path(name))
        return Fetched(answer.get("SecretString"), answer.get("VersionId"), utc(answer.get("CreatedDate")))

    def store(self, name: Name, value: str) -> Fetched:
        client, path = self.client(), self.full_path(name)
        current: Fetched | None = None
        with contextlib.suppress(client.exceptions.ResourceNotFoundException):
            current = self.fetch(name)
        content = value if not name.key else json.dumps({**self._fields(name, current), name.key: value})
        if current is None:
            client.create_secret(Name=path, SecretString=content)
        else:
            client.put_secret_value(SecretId=path, SecretString=content)
        return self.fetch(name)

    def select(self, name: Name, fetched: Fetched) -> str:
        if not name.key:
            return text_of(fetched.content, name)
        fields = self._fields(name, fetched)
        if name.key not in fields:
            raise key_missing(name, self.place(name))
        return text_of(fields[name.key], name)

    def problem_of(self, error: BaseException) -> SecretProblem:
        known = library("botocore.exceptions", "aws")
        if isinstance(error, known.ClientError):
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return self._refused(error.response.get("Error", {}).get("Code", ""), status)
        if isinstance(error, known.PartialCredentialsError):
            return incomplete("aws", ["the other half of its credentials"])
        if isinstance(
            error, (known.NoCredentialsError, known.CredentialRetrievalError, known.TokenRetrievalError)
        ):
            return incomplete("aws", ["credentials"])
        if isinstance(error, known.ProfileNotFound):
            return incomplete("aws", [f"the profile that {setting('profile')} or AWS_PROFILE names"])
        if isinstance(error, known.SSLError):
            return self.untrusted(error)
        if isinstance(error, (known.ConnectTimeoutError, known.ReadTimeoutError)):
            return self._too_slow()
        lost = isinstance(error, (known.HTTPClientError, known.ConnectionError))
        return self.unreachable("cannot be reached" if lost else "cannot be used")

    def _session(self) -> Any:
        settings = self.settings
        boto3 = library("boto3", settings.backend)
        core = library("botocore.session", settings.backend).Session(profile=settings.profile or None)
        if settings.credentials_file:
            check_private(settings.credentials_file, "credentials_file")
            core.set_config_variable("credentials_file", settings.credentials_file)
        return boto3.session.Session(botocore_session=core)

    def _fields(self, name: Name, fetched: Fetched | None) -> Mapping[str, Any]:
        if fetched is None:
            return {}
        try:
            fields = json.loads(fetched.content or "")
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise key_missing(name, self.place(name))
        return fields

    def _refused(self, code: str, status: int | None) -> SecretProblem:
        if code == "ResourceNotFoundException":
            return SecretProblem(
                "NOT_FOUND",
                f"{self.address()} has no such secret, or no current version of it",
                "correct the name or hardened_secrets_path, or create it with secret_generate",
            )
        if code == "InvalidRequestException":
            return SecretProblem(
                "NOT_FOUND",
                f"the secret is marked for deletion in {self.address()}",
                "aws secretsmanager restore-secret",
            )
        if code in _DENIED or status in (401, 403):
            return SecretProblem(
                "DENIED",
                f"{self.address()} denies access",
                "check that the credentials have not ended, and that their policy allows secretsmanager:GetSecretValue",
            )
        return self.unreachable("answers with an error of its own")

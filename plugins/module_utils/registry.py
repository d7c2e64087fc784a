# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a registry (v2 API over HTTPS) for an image's digest, and says in one code why it cannot be had."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.image_reference import (
    Reference,
    ReferenceProblem,
    parse,
)

_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_BODY_LIMIT = 4 * 1024 * 1024
# What a layer is called that holds a signature or attestation; how a referrer is called in its index depends on who wrote that.
_EVIDENCE = (
    "application/vnd.dev.cosign.simplesigning",
    "application/vnd.dsse.envelope",
    "application/vnd.dev.sigstore.bundle",
)
# Signatures and attestations of one image that are looked at: a registry must not keep a deployment busy.
_MOST_REFERRERS = 32
_DOCKER_CERTIFICATES = Path("/etc/docker/certs.d")


class RegistryProblem(Exception):
    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": str(self), "fix": self.fix}


@dataclass(frozen=True)
class Access:
    """How the registry is reached."""

    ca_file: str = ""
    ca_content: str = ""
    username: str = ""
    password: str = ""
    timeout: float = 10.0


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Any
    body: bytes


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Never away from TLS; credentials are not redirected at all (see add_unredirected_header)."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def inspect(image: str, access: Access, evidence: bool = False) -> dict[str, Any]:
    """exists, digest, media_type, problems, and with `evidence` what is signed of it: whatever happens, no exception."""
    result: dict[str, Any] = {"exists": False, "digest": "", "media_type": "", "problems": []}
    try:
        try:
            reference = parse(image)
        except ReferenceProblem as problem:
            raise RegistryProblem(
                "IMAGE_REFERENCE", f"the image reference {problem}", problem.fix
            ) from problem
        client = _Client(reference, access)
        digest, media_type = client.manifest()
        result.update(exists=True, digest=digest, media_type=media_type)
        if evidence:
            result["evidence"] = client.evidence(digest)
    except (KeyError, TypeError, AttributeError):
        result["problems"] = [_strange(image.partition("@")[0]).as_dict()]
    except RegistryProblem as problem:
        result["problems"] = [problem.as_dict()]
    return result


class _Client:
    def __init__(self, reference: Reference, access: Access) -> None:
        self._reference = reference
        self._access = access
        self._authorized = ""
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=self._context()), _SafeRedirects()
        )

    def manifest(self) -> tuple[str, str]:
        url = self._url("manifests", self._reference.target)
        self._resolve()
        answer = self._ask("HEAD", url)
        if answer.status == 401:
            self._authorized = self._authorization(answer.headers.get_all("WWW-Authenticate") or [])
            answer = self._ask("HEAD", url, self._authorized)
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == 405 or (answer.status == 200 and not digest):
            answer = self._ask("GET", url, self._authorized)
            digest = "sha256:" + hashlib.sha256(answer.body).hexdigest()
        self._judge(answer.status)
        if self._reference.digest and digest != self._reference.digest:
            raise RegistryProblem(
                "IMAGE_MISSING",
                f"registry {self._reference.registry} answers for another digest than the one asked for",
                "the registry is faulty or not a registry: look at what it serves before trusting it",
            )
        return digest, answer.headers.get("Content-Type", "").partition(";")[0]

    def evidence(self, digest: str) -> list[dict[str, Any]]:
        """What stands beside the image, signed or claiming to be, as it lies there: to be judged where the keys are.

        Each has a C(media_type), C(content) (base64) and C(annotations). By cosign's tags, and by referrers (OCI 1.1) or the tag
        that stands for them at a registry that has none.
        """
        tag = digest.replace(":", "-", 1)
        found = [layer for suffix in (".sig", ".att") for layer in self._layers(tag + suffix)]
        index = self._document("referrers", digest) or self._document("manifests", tag)
        for entry in index.get("manifests", [])[:_MOST_REFERRERS]:
            found += self._layers(entry["digest"])
        return found

    def _layers(self, target: str) -> list[dict[str, Any]]:
        layers = self._document("manifests", target).get("layers", [])[:_MOST_REFERRERS]
        return [
            {
                "media_type": layer["mediaType"],
                "content": base64.b64encode(self._blob(layer)).decode(),
                "annotations": layer.get("annotations") or {},
            }
            for layer in layers
            if layer["mediaType"].startswith(_EVIDENCE)
        ]

    def _document(self, kind: str, target: str) -> dict[str, Any]:
        """What the registry has there; nothing where it has nothing."""
        answer = self._ask("GET", self._url(kind, target), self._authorized)
        if answer.status in (400, 404, 405):
            return {}
        self._judge(answer.status)
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._strange()
        return document

    def _blob(self, layer: dict[str, Any]) -> bytes:
        """Nothing of what is too large to be carried to the keys, such as the bill of materials of a whole distribution."""
        if layer["size"] > _BODY_LIMIT:
            return b""
        answer = self._ask("GET", self._url("blobs", layer["digest"]), self._authorized)
        self._judge(answer.status)
        if "sha256:" + hashlib.sha256(answer.body).hexdigest() != layer["digest"]:
            raise self._strange()
        return answer.body

    def _strange(self) -> RegistryProblem:
        return _strange(f"{self._reference.registry}/{self._reference.repository}")

    def _url(self, kind: str, target: str) -> str:
        return f"https://{self._reference.registry}/v2/{self._reference.repository}/{kind}/{target}"

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        directory = _DOCKER_CERTIFICATES / self._reference.registry
        try:
            files = [Path(self._access.ca_file)] if self._access.ca_file else sorted(directory.glob("*.crt"))
            for path in files:
                context.load_verify_locations(cafile=str(path))
            if self._access.ca_content:
                context.load_verify_locations(cadata=self._access.ca_content)
        except (OSError, ssl.SSLError, ValueError) as error:
            what = self._access.ca_file or "the given CA certificate"
            raise RegistryProblem(
                "REGISTRY_TLS",
                f"{what} cannot be used as a CA certificate",
                "give a readable PEM file of the CA that issued the registry's certificate",
            ) from error
        return context

    def _resolve(self) -> None:
        """Ahead of the request, so that a silent name server costs `timeout` and has a code of its own."""
        host = urllib.parse.urlsplit(f"//{self._reference.registry}").hostname or ""
        if urllib.request.getproxies().get("https") and not urllib.request.proxy_bypass(host):
            return
        found: list[bool] = []

        def look_up() -> None:
            try:
                found.append(bool(socket.getaddrinfo(host, None)))
            except (OSError, UnicodeError):
                found.append(False)

        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(self._access.timeout)
        if not found or not found[0]:
            raise RegistryProblem(
                "REGISTRY_UNRESOLVED",
                f"the name of registry {self._reference.registry} cannot be resolved",
                "check the spelling, and that this host's name server or /etc/hosts knows it",
            )

    def _ask(self, method: str, url: str, authorization: str = "") -> _Answer:
        headers = {"Accept": _MANIFESTS, "User-Agent": "techsaas.hardened"}
        request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - https only
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        server = urllib.parse.urlsplit(url).netloc
        try:
            with self._opener.open(request, timeout=self._access.timeout) as reply:
                return _Answer(reply.status, reply.headers, reply.read(_BODY_LIMIT))
        except urllib.error.HTTPError as error:
            with error:
                return _Answer(error.code, error.headers, b"")
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            raise _unreachable(server, cause) from error

    def _authorization(self, challenges: list[str]) -> str:
        for challenge in challenges:
            scheme, _space, rest = challenge.strip().partition(" ")
            fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            if scheme.lower() == "bearer" and fields.get("realm", "").startswith("https://"):
                return self._token(fields)
            if scheme.lower() == "basic" and self._access.username:
                return self._basic()
        raise self._denied()

    def _token(self, fields: dict[str, str]) -> str:
        scope = fields.get("scope") or f"repository:{self._reference.repository}:pull"
        query = urllib.parse.urlencode({"service": fields.get("service", ""), "scope": scope})
        joint = "&" if "?" in fields["realm"] else "?"
        answer = self._ask(
            "GET", fields["realm"] + joint + query, self._basic() if self._access.username else ""
        )
        if answer.status in (400, 401, 403):
            raise self._denied()
        self._judge(answer.status)
        try:
            document = json.loads(answer.body)
            return f"Bearer {document.get('token') or document['access_token']}"
        except (ValueError, KeyError, AttributeError) as error:
            raise RegistryProblem(
                "REGISTRY_UNREACHABLE",
                f"the token service of registry {self._reference.registry} does not answer with a token",
                "look at the registry's own log",
            ) from error

    def _basic(self) -> str:
        pair = f"{self._access.username}:{self._access.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    def _judge(self, status: int) -> None:
        where = f"{self._reference.repository} in registry {self._reference.registry}"
        if status in (401, 403):
            raise self._denied()
        if status == 404:
            what = self._reference.digest or f"tag {self._reference.tag}"
            raise RegistryProblem(
                "IMAGE_MISSING", f"there is no {what} of {where}", "push the image, or correct the reference"
            )
        if status != 200:
            raise RegistryProblem(
                "REGISTRY_UNREACHABLE",
                f"the registry {self._reference.registry} answers {status}",
                "wait and try again" if status == 429 else "look at the registry's own log",
            )

    def _denied(self) -> RegistryProblem:
        who = "with these credentials" if self._access.username else "without credentials"
        return RegistryProblem(
            "DENIED",
            f"registry {self._reference.registry} refuses {self._reference.repository} {who}",
            "give credentials that may pull from it",
        )


def _strange(where: str) -> RegistryProblem:
    return RegistryProblem(
        "IMAGE_SIGNATURE",
        f"what lies beside {where} as its signature is none",
        "sign the image anew, and look at who may push to this repository",
    )


def _unreachable(server: str, cause: object) -> RegistryProblem:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return RegistryProblem(
            "REGISTRY_TLS",
            f"the certificate of {server} is not accepted: {cause.verify_message}",
            "give the CA that issued it, check the name and the dates of the certificate, and this host's clock",
        )
    if isinstance(cause, ssl.SSLError):
        return RegistryProblem(
            "REGISTRY_TLS",
            f"{server} does not speak acceptable TLS: {(cause.reason or 'handshake failed').replace('_', ' ').lower()}",
            "serve the registry over TLS 1.2 or newer",
        )
    words = getattr(cause, "strerror", None) or (
        "timed out" if isinstance(cause, TimeoutError) else str(cause)
    )
    return RegistryProblem(
        "REGISTRY_UNREACHABLE",
        f"{server} cannot be reached: {words or type(cause).__name__}",
        "check that it runs, and that a firewall or proxy lets this host through",
    )

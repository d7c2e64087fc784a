# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a container image reference, as strict as a deployment needs them to be."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = (
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])(?::\d{1,5})?"
)
_REPOSITORY = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
_TAG = r"\w[\w.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"


class ReferenceProblem(ValueError):
    """Says what is wrong with a reference, and what to write instead; never repeats the reference."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True)
class Reference:
    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def target(self) -> str:
        """What the registry is asked for: a digest wins over a tag, as it does for every runtime."""
        return self.digest or self.tag


def parse(image: str) -> Reference:
    name, at, digest = image.partition("@")
    host, slash, path = name.partition("/")
    if not slash or not (("." in host) or (":" in host) or host == "localhost"):
        raise ReferenceProblem(
            "names no registry", "write it whole: REGISTRY[:PORT]/REPOSITORY@sha256:DIGEST"
        )
    if not re.fullmatch(_HOST, host, re.ASCII):
        raise ReferenceProblem(
            "has no valid registry name", "the registry is a lower case host name or address"
        )
    port = re.search(r":(\d+)$", host)
    if port and not 0 < int(port.group(1)) < 65536:
        raise ReferenceProblem("has no valid registry port", "a port lies between 1 and 65535")
    repository, colon, tag = path.partition(":")
    if not re.fullmatch(_REPOSITORY, repository, re.ASCII):
        raise ReferenceProblem(
            "has no valid repository name",
            "a repository is lower case letters, digits, and single . _ - / between",
        )
    if colon and not re.fullmatch(_TAG, tag, re.ASCII):
        raise ReferenceProblem("has no valid tag", "a tag is up to 128 letters, digits, _ . -")
    if at and not re.fullmatch(_DIGEST, digest, re.ASCII):
        raise ReferenceProblem(
            "has no valid digest", "a digest is sha256: and 64 lower case hexadecimal digits"
        )
    if not colon and not at:
        raise ReferenceProblem(
            "has neither digest nor tag", "add @sha256:DIGEST, as the registry's push printed it"
        )
    return Reference(host, repository, tag, digest)

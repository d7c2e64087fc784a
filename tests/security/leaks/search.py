# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds canaries in bytes, also within base64 of compressed data, as config_set sends it."""

from __future__ import annotations

import base64
import binascii
import gzip
import os
import re
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.techsaas.hardened.tests.security.leaks.canary import Canary, forms

# How base64 of zlib and gzip data begins.
PACKED = re.compile(rb"(?:eJ|eN|H4sI)[A-Za-z0-9+/]{40,}={0,2}")
DEEPEST = 3
# From here on starting grep, which looks for all at once, is worth its time.
LARGE = 2_000_000


@dataclass(frozen=True)
class Hit:
    """A canary by its name, and the form in which it was found; never its value."""

    canary: str
    form: str

    def __str__(self) -> str:
        return f"{self.canary} ({self.form})"


class Search:
    """Looks for all canaries that were ever made in this run of the tests."""

    def __init__(self) -> None:
        self._needles: dict[bytes, Hit] = {}

    def add(self, canaries: Iterable[Canary]) -> None:
        for canary in canaries:
            for form, needle in forms(canary.value).items():
                self._needles.setdefault(needle, Hit(canary.name, form))

    @property
    def needles(self) -> bytes:
        """One a line, as `grep -F -f` takes them."""
        return b"".join(needle + b"\n" for needle in self._needles)

    def hit(self, needle: bytes) -> Hit:
        return self._needles[needle]

    def find(self, data: bytes, depth: int = 0) -> list[Hit]:
        """Each canary at most once, in its most telling form."""
        found: dict[str, Hit] = {}
        if len(data) < LARGE or self._may_hold(data):
            for needle, hit in self._needles.items():
                if hit.canary not in found and needle in data:
                    found[hit.canary] = hit
        for plain in unpacked(data) if depth < DEEPEST else ():
            for hit in self.find(plain, depth + 1):
                found.setdefault(hit.canary, Hit(hit.canary, f"{hit.form}, packed"))
        return list(found.values())

    def _may_hold(self, data: bytes) -> bool:
        with os.fdopen(os.memfd_create("needles"), "wb") as file:
            file.write(self.needles)
            file.flush()
            # In memory, and without a name that anybody could be shown.
            command = ["grep", "-aqF", "-f", f"/proc/self/fd/{file.fileno()}"]
            own = {**os.environ, "LC_ALL": "C"}
            return not subprocess.run(
                command, input=data, env=own, pass_fds=[file.fileno()], check=False
            ).returncode


def unpacked(data: bytes) -> Iterator[bytes]:
    for match in PACKED.finditer(data):
        text = match[0].rstrip(b"=")
        try:
            blob = base64.b64decode(text[: len(text) // 4 * 4])
            inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
            yield inflate.decompress(blob)
        except (binascii.Error, zlib.error, gzip.BadGzipFile):
            continue

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that lie on the host as systemd credentials: encrypted with the host's own key, bound to a name and a date."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import ConfigSetError
from .process import Completed, run

PROGRAM = "systemd-creds"
_TIMEOUT = 30.0
# Stands for the blob in a plan: the first encryption makes the host's key, which a plan must not.
_PLANNED = b"(a credential that this run would encrypt)\n"


@dataclass(frozen=True)
class Credential:
    """The name that is sealed into the blob, and the UTC date (YYYY-MM-DD) after which systemd refuses to decrypt it."""

    name: str
    not_after: str = ""


def sealed(path: str, plain: bytes, credential: Credential, live: bytes | None, planning: bool) -> bytes:
    """The blob that already lies there, when it says the same; else a new one: each encryption differs."""
    if live is not None and _same(plain, credential, live):
        return live
    if planning:
        return _PLANNED
    expiry = [f"--not-after={credential.not_after} 00:00:01 UTC"] if credential.not_after else []
    # With the host's key and its TPM where there is one; but to no state of its firmware, which an update changes.
    done = _creds("encrypt", credential, plain, "--with-key=auto", "--tpm2-pcrs=", *expiry)
    if done.rc != 0:
        raise ConfigSetError(f"{path}: {PROGRAM} cannot encrypt it: {done.err.strip() or 'no reason given'}")
    return done.raw


def _same(plain: bytes, credential: Credential, live: bytes) -> bool:
    if not credential.not_after:
        # Whether it expires shows only when asked about a time long after.
        return _opens(credential, live, "@32503680000") == plain
    day = credential.not_after
    return _opens(credential, live, f"{day} 00:00:00 UTC") == plain and (
        _opens(credential, live, f"{day} 00:00:02 UTC") is None
    )


def _opens(credential: Credential, live: bytes, when: str) -> bytes | None:
    done = _creds("decrypt", credential, live, f"--timestamp={when}")
    return done.raw if done.rc == 0 else None


def _creds(verb: str, credential: Credential, stdin: bytes, *options: str) -> Completed:
    # Through standard input and output: the clear text is in no file and no argument.
    return run([PROGRAM, verb, f"--name={credential.name}", *options, "-", "-"], _TIMEOUT, stdin)

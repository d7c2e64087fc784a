# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps things, and the names that keep two checkouts on one machine apart."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
STATE = CHECKOUT / ".lab"
VENV_BIN = CHECKOUT / ".venv" / "bin"

# Shared by every checkout of one user: what is in it is named by its content, so sharing is safe.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hardened-lab"

CHECKOUT_ID = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]


def object_name(fleet: str, host: str | None = None) -> str:
    """Name of a podman object: unique for this checkout, fleet and host."""
    return "-".join(part for part in ("hardened", CHECKOUT_ID, fleet, host) if part)


def label(fleet: str) -> str:
    """What every podman object of a fleet carries, so that the lab can only ever remove its own.

    One label for both parts: podman 4 takes several label filters of volumes as alternatives.
    """
    return f"hardened.lab={object_name(fleet)}"


def private_directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def control_sockets(fleet: str) -> Path:
    """Where SSH keeps its shared connections: short, since a socket's path may have 107 characters at most."""
    return private_directory(CACHE / "ssh") / f"{CHECKOUT_ID}-{fleet}"


def known_hosts(fleet: str) -> Path:
    """The public SSH keys of a fleet's hosts."""
    return private_directory(STATE / fleet) / "known_hosts"

# SPDX-License-Identifier: GPL-3.0-or-later
"""The places where a secret may be in clear: exact path, mode, owner, and which secret. See docs/secrets_leaks.md."""

from __future__ import annotations

import re

VARIABLES = {
    "SECRET_KEY": "app_secret_key",  # pragma: allowlist secret
    "ADMIN_API_KEY": "app_admin_api_key",  # pragma: allowlist secret
    "DATABASE_PASSWORD": "postgres_app_password",  # pragma: allowlist secret
}
NAMES = "|".join(VARIABLES)
# The container's user 1000, as the host knows it: in one of the ranges that Debian hands out, one after the other.
CONTAINER_USERS = "|".join(f"{uid}:{uid}" for uid in range(101000, 101000 + 10 * 65536, 65536))
# Without a name in the path, the secret that it has to be.
PLACES = (
    # For the container's user; there while the slot's unit is up.
    (re.compile(rf"/run/hardened-app/(?:blue|green|migrate)/({NAMES})"), f"400 (?:{CONTAINER_USERS})", ""),
    # systemd's own, from which the unit takes the copies.
    (re.compile(rf"/run/credentials/hardened-app@(?:blue|green)\.service/app\.({NAMES})"), "400 0:0", ""),
    # For pgBackRest, which PostgreSQL's user runs, and systemd's own that it is made of.
    (re.compile(r"/run/hardened-backup/key\.conf"), r"640 0:\d+", "backup_passphrase"),
    (
        re.compile(r"/run/credentials/hardened-backup-key\.service/backup\.passphrase"),
        "400 0:0",
        "backup_passphrase",
    ),
)


def allowed(path: str, attributes: str, canary: str) -> bool:
    """Whether a file on a host may hold the secret of this name, whatever generation of it."""
    for pattern, wanted, secret in PLACES:
        if match := pattern.fullmatch(path):
            named = secret or VARIABLES[match[match.lastindex or 0]]
            return bool(re.fullmatch(wanted, attributes)) and named == canary
    return False

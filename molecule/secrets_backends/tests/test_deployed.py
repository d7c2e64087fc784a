# SPDX-License-Identifier: GPL-3.0-or-later
"""The application has the secrets of the vault file: at first, and again at the end."""

from __future__ import annotations

import json

from labkit.client import Client
from labkit.fleet import Fleet

CLIENT = Client(Fleet.load("secrets_backends"))


def test_the_application_has_the_secrets_of_the_vault_file() -> None:
    slot = json.loads(CLIENT.on("api-1", "cat", "/var/lib/hardened/release.json"))["slot"]
    held = CLIENT.on("api-1", "cat", f"/run/hardened-app/{slot}/SECRET_KEY")
    assert held == CLIENT.secrets["app_secret_key"]


def test_the_administration_answers_to_its_key() -> None:
    assert CLIENT.admin("GET", "/admin/keys").status == 200

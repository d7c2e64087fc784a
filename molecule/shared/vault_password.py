#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vault password client of the lab: prints the password that this checkout made for itself."""

from __future__ import annotations

from labkit import inventory

print(inventory.vault_password_file().read_text(encoding="ascii"), end="")

#!/bin/sh
# Vault password client of the lab: prints the password that this checkout made for itself.
cd "$(dirname "$0")" && exec ../../.venv/bin/python -m labkit.vault

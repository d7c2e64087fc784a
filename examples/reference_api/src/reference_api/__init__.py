# SPDX-License-Identifier: GPL-3.0-or-later
"""The API that the lab deploys: small, but built as one that has to run in production."""

from __future__ import annotations

NAME = "reference-api"

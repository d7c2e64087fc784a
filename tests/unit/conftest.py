# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests share."""

from __future__ import annotations

from pathlib import Path

from hypothesis import configuration, settings

configuration.set_hypothesis_home_dir(Path(__file__).parents[2] / ".cache/hypothesis")
# Two cores run many tests at once: a slow example is no failure.
settings.register_profile("checkout", deadline=None, print_blob=True)
settings.load_profile("checkout")

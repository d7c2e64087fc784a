# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody meant who wrote a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that was probably meant, or nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return close[0] if close else ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenario's hosts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "syslog_forwarding" / "tests"))
from loghosts import Hosts  # type: ignore[import-not-found]


@pytest.fixture(scope="session")
def hosts() -> Hosts:
    return Hosts("log_collector")

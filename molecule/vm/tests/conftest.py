# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from labkit.client import Client
from labkit.fleet import Fleet


@pytest.fixture(scope="session")
def client() -> Client:
    return Client(Fleet.load("vm"))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for the whole session, and a site for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.techsaas.hardened.tests.backends import servers
from ansible_collections.techsaas.hardened.tests.backends.playbook import Site


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Bao]:
    with servers.openbao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Aws]:
    with servers.aws(tmp_path_factory.mktemp("aws")) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def canary() -> str:
    return secrets.token_urlsafe(48)

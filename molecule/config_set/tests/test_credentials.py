# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets as credentials: the service has what was deployed last, the disk has it nowhere in clear."""

from __future__ import annotations

import hashlib

import pytest
from labkit.client import Client
from labkit.fleet import Fleet
from labkit.podman import LabError

CLIENT = Client(Fleet.load("config_set"))
HOSTS = [host.name for host in CLIENT.fleet.hosts]
STORE = "/etc/credstore.encrypted"
# Everything written down, without what is not printable.
DISK = r"""
find /etc /home /root /tmp /var -xdev -path /var/cache -prune -o -path /var/lib/apt -prune -o -type f -print0 |
  xargs -0 cat | tr -cd '\11\12\40-\176'
"""


@pytest.mark.parametrize("host", HOSTS)
def test_the_service_has_the_secret(host: str) -> None:
    digest = hashlib.sha256(CLIENT.secrets["app_secret_key"].encode()).hexdigest()
    assert CLIENT.on(host, "cat", "/run/echo-secret/digest").split()[0] == digest


@pytest.mark.parametrize("host", HOSTS)
def test_no_file_has_it_in_clear(host: str) -> None:
    disk = CLIENT.on(host, "sh", "-c", DISK) + CLIENT.on(host, "journalctl", "--no-pager", "--quiet")
    assert "echo-secret.service" in disk
    assert [name for name, value in CLIENT.secrets.items() if value in disk] == []


@pytest.mark.parametrize("host", HOSTS)
def test_a_credential_is_bound_to_its_name(host: str) -> None:
    CLIENT.on(host, "cp", f"{STORE}/echo.key", "/run/other.key")
    with pytest.raises(LabError, match="does not match"):
        CLIENT.on(host, "systemd-creds", "decrypt", "/run/other.key", "-")


@pytest.mark.parametrize("host", HOSTS)
def test_the_secret_goes_when_the_service_stops(host: str) -> None:
    CLIENT.on(host, "systemctl", "stop", "echo-secret.service")
    gone = CLIENT.on(host, "sh", "-c", "ls /run/credentials /run/echo-secret 2>/dev/null || true")
    CLIENT.on(host, "systemctl", "start", "echo-secret.service")
    assert "echo-secret" not in gone


@pytest.mark.parametrize("host", HOSTS)
def test_systemd_opens_no_credential_after_its_date(host: str) -> None:
    decrypt = ("systemd-creds", "decrypt", f"{STORE}/echo.dated", "-")
    assert CLIENT.on(host, *decrypt) == CLIENT.secrets["app_secret_key"]
    with pytest.raises(LabError, match="time passed"):
        CLIENT.on(host, *decrypt, "--timestamp=2100-01-01 00:00:00")

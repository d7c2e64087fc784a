# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's data lies on the volume, the device shows none of it, and the key is nowhere for longer than it takes."""

from __future__ import annotations

import json
import uuid
from typing import Any

from labkit.podman import run

HEADER = "/var/lib/hardened/volume-header.enc"
DEVICE = "/dev/disk/by-id/virtio-data"
DATA = "/var/lib/postgresql"


def key(database: Any) -> str:
    """The passphrase, as only the host's own systemd can read it."""
    return str(
        database.sh("systemd-creds decrypt --name=volume.key /etc/credstore.encrypted/volume.key - | cat")
    )


def test_the_data_is_on_the_volume(database: Any) -> None:
    assert database.sh(f"findmnt -no SOURCE,OPTIONS {DATA}").startswith("/dev/mapper/hardened-data")
    for option in ("nodev", "nosuid", "noexec"):
        assert option in database.sh(f"findmnt -no OPTIONS {DATA}")
    assert database.sql("SHOW data_directory").startswith(DATA)
    assert database.sh(f"stat -c %U {DATA}") == "postgres"


def test_how_it_is_encrypted(database: Any) -> None:
    assert database.sh("lsblk -no TYPE /dev/mapper/hardened-data") == "crypt"
    header = json.loads(database.sh(f"cryptsetup luksDump --dump-json-metadata {DEVICE}"))
    assert header["segments"]["0"]["encryption"] == "aes-xts-plain64"
    assert [slot["key_size"] for slot in header["keyslots"].values()] == [64]
    assert [slot["kdf"]["type"] for slot in header["keyslots"].values()] == ["argon2id"]


def test_the_device_shows_nothing(database: Any) -> None:
    word = f"planted{uuid.uuid4().hex}"
    database.sql(f"CREATE TABLE planted AS SELECT '{word}' AS word")
    database.sql("CHECKPOINT")
    found = f"grep -c --binary-files=text {word} {{}} || true"
    database.sh("sync; echo 3 > /proc/sys/vm/drop_caches")
    assert int(database.sh(found.format("/dev/mapper/hardened-data"))) > 0
    assert database.sh(found.format(DEVICE)) == "0"
    database.sql("DROP TABLE planted")


def test_the_key_is_nowhere_in_clear(database: Any) -> None:
    secret = key(database)
    assert len(secret) >= 32
    # By standard input, or the search would find itself.
    places = "/run /etc /var/lib/hardened /var/log /tmp /root"
    argv = database.client.fleet.argv(
        database.host, "sh", "-c", f"grep -rlaFf - --devices=skip {places} || true", interactive=True
    )
    assert run(argv, stdin=secret + "\n").stdout == ""


def test_the_header_is_kept_encrypted(database: Any) -> None:
    """What is kept opens by the passphrase, and is the header that the device has."""
    script = f"""
umask 077
systemd-creds decrypt --name=volume.key /etc/credstore.encrypted/volume.key /run/test-key
openssl enc -d -aes-256-cbc -pbkdf2 -iter 600000 -pass file:/run/test-key -in {HEADER} -out /run/test-header
cryptsetup luksUUID /run/test-header
cryptsetup luksUUID {DEVICE}
cryptsetup open --test-passphrase --key-file /run/test-key --header /run/test-header {DEVICE}
rm /run/test-key /run/test-header
"""
    kept, own = database.sh(script).splitlines()
    assert kept == own
    assert database.sh(f"stat -c '%a %U' {HEADER}") == "600 root"
    assert database.sh(f"head -c 8 {HEADER}") == "Salted__"

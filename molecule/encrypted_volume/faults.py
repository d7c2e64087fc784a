# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects of the scenario, in this order: reboots with and without the key, a lost header, and what is refused."""

from __future__ import annotations

from typing import Any

from labkit import plays

CONVERGE = "../molecule/encrypted_volume/converge.yml"
CREDENTIAL = "/etc/credstore.encrypted/volume.key"
DEVICE = "/dev/disk/by-id/virtio-data"
MOUNT = "var-lib-postgresql.mount"
VOLUME = "hardened-volume.service"


def refused(database: Any, *variables: str) -> str:
    extra = [part for variable in variables for part in ("-e", variable)]
    return " ".join(plays.refused(database.client, CONVERGE, "--limit", database.host, *extra).split())


def reboot(database: Any) -> None:
    """A power cut, and then until the host has done all that it does at boot."""
    database.client.fleet.reboot(database.host)
    plays.eventually(
        lambda: database.sh("systemctl is-system-running || true") in ("running", "degraded"), 180
    )


def serves(database: Any) -> bool:
    return bool(database.sh("pg_lsclusters --no-header | awk '{print $4}'") == "online")


def test_after_a_power_cut_it_opens_by_itself(database: Any) -> None:
    database.sql("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    reboot(database)
    plays.eventually(lambda: serves(database))
    assert database.sql("SELECT count(*) FROM kept") == "1000"


def test_without_its_key_it_stays_closed(database: Any) -> None:
    """The host comes up, and PostgreSQL does not, also not with an empty cluster of its own."""
    database.sh(f"mv {CREDENTIAL} /root/aside; sync")
    reboot(database)
    assert (database.active(MOUNT), database.active(VOLUME)) == ("inactive", "failed")
    assert not serves(database)
    assert database.sh("ls /var/lib/postgresql; ls /dev/mapper") == "control"
    # As an operator would: the inventory has the passphrase.
    plays.converge(database.client, "--limit", database.host)
    assert database.sql("SELECT count(*) FROM kept") == "1000"
    reboot(database)
    plays.eventually(lambda: serves(database))
    database.sh("rm /root/aside")


def test_a_copy_that_cannot_be_kept_keeps_nothing_closed(database: Any) -> None:
    """What would be a full disk: the volume opens all the same, and the next opening makes the copy."""
    kept = "/var/lib/hardened/volume-header.enc"
    database.sh(f"rm {kept}; mkdir {kept}.new; systemctl start {VOLUME}")
    assert "could not be renewed" in database.sh(f"journalctl --unit={VOLUME} --output=cat --lines=8")
    database.sh(f"rm -rf {kept}.new; systemctl start {VOLUME}; test -s {kept}")


def test_a_stolen_credential_opens_nothing_elsewhere(database: Any) -> None:
    """It is encrypted to its host: another one's systemd does not decrypt it."""
    other = {"db-12": "db-13", "db-13": "db-12"}[database.host]
    stolen = database.sh(f"base64 -w0 {CREDENTIAL}")
    script = f"echo {stolen} | base64 -d > /run/stolen; systemd-creds decrypt --name=volume.key /run/stolen - 2>&1 || echo refused"
    said = database.client.on(other, "sh", "-c", script)
    assert "refused" in said, said


def test_a_damaged_header_is_never_taken_for_an_empty_device(database: Any) -> None:
    """It is said, nothing is formatted, and the kept header brings the data back."""
    database.sh(f"systemctl stop 'postgresql@*' {MOUNT}; cryptsetup close hardened-data")
    database.sh(f"dd if=/dev/zero of={DEVICE} bs=1M count=16 conv=notrunc status=none; sync")
    refused(database)
    assert database.active(MOUNT) in ("inactive", "failed")
    log = database.sh(f"journalctl --unit={VOLUME} --output=cat --no-pager --lines=8")
    assert "it comes back from /var/lib/hardened/volume-header.enc" in log
    restore = f"""
umask 077
systemd-creds decrypt --name=volume.key {CREDENTIAL} /run/key
openssl enc -d -aes-256-cbc -pbkdf2 -iter 600000 -pass file:/run/key -in /var/lib/hardened/volume-header.enc -out /run/header
cryptsetup luksHeaderRestore --batch-mode --header-backup-file /run/header {DEVICE}
rm /run/key /run/header
systemctl reset-failed
"""
    database.sh(restore)
    plays.converge(database.client, "--limit", database.host)
    plays.eventually(lambda: serves(database))
    assert database.sql("SELECT count(*) FROM kept") == "1000"


def test_another_passphrase_is_refused(database: Any) -> None:
    before = database.sh(f"sha256sum {CREDENTIAL}")
    said = refused(database, "encrypted_volume_passphrase=" + "Zq7+" * 12)
    assert "was made with another passphrase" in said
    assert database.sh(f"sha256sum {CREDENTIAL}") == before
    # Also when this host does not know what it was made with.
    record = "/var/lib/hardened/encrypted_volume.json"
    database.sh(f"mv {record} /root/record")
    said = refused(database, "encrypted_volume_passphrase=" + "Zq7+" * 12)
    assert "is encrypted by another passphrase" in said
    database.sh(f"mv /root/record {record}")
    plays.converge(database.client, "--limit", database.host)


def test_what_has_data_is_not_formatted(database: Any) -> None:
    said = refused(database, "encrypted_volume_device=/dev/disk/by-id/virtio-root")
    assert "the data is on /dev/disk/by-id/virtio-data" in said
    record = "/var/lib/hardened/encrypted_volume.json"
    database.sh(f"mv {record} /root/record")
    for device, words in (
        ("/dev/disk/by-id/virtio-root", "is not empty, it has ext4"),
        ("/dev/disk/by-id/virtio-none", "there is no such device"),
    ):
        assert words in refused(database, f"encrypted_volume_device={device}")
    database.sh(f"mv /root/record {record}")
    plays.converge(database.client, "--limit", database.host)
    assert database.sql("SELECT count(*) FROM kept") == "1000"
    database.sql("DROP TABLE kept")


def test_data_that_is_there_is_not_hidden(database: Any) -> None:
    """A database that has run without a volume cannot get one by a variable."""
    record = "/var/lib/hardened/encrypted_volume.json"
    database.sh(
        f"systemctl stop 'postgresql@*' {MOUNT}; mv {record} /root/record; touch /var/lib/postgresql/data"
    )
    assert "/var/lib/postgresql has data, which would be hidden" in refused(database)
    database.sh(f"rm /var/lib/postgresql/data; mv /root/record {record}; systemctl start {MOUNT}")
    plays.converge(database.client, "--limit", database.host)
    plays.eventually(lambda: serves(database))

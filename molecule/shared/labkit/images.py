# SPDX-License-Identifier: GPL-3.0-or-later
"""Base images of plain Debian hosts, made with mmdebstrap and cached by what went into them."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import paths
from .podman import LabError, host_options, podman, run

MIRROR = os.environ.get("LAB_DEBIAN_MIRROR", "http://deb.debian.org/debian")
SECURITY_MIRROR = os.environ.get("LAB_DEBIAN_SECURITY_MIRROR", "http://deb.debian.org/debian-security")
SUITES = {"12": "bookworm", "13": "trixie"}

# What an installer's "standard server with SSH" has and automation needs.
INSTALLED = (
    "ca-certificates,dbus,iproute2,kmod,less,openssh-server,procps,python3,python3-apt,sudo,systemd,systemd-sysv,udev"
).split(",")
# Downloaded, not installed: hosts stay plain, and a deploy needs no network for what the roles install.
DOWNLOADED = (
    "apparmor docker.io nftables nginx libnginx-mod-http-lua libnginx-mod-http-modsecurity modsecurity-crs openssl pgbackrest "
    "postgresql postgresql-contrib python3-cryptography python3-psycopg2 rsyslog rsyslog-relp ssl-cert strace"
).split()
# What each has under a name of its own, or in a package of its own.
DOWNLOADED_ONLY: dict[str, list[str]] = {
    "12": ["postgresql-15-pgaudit"],
    "13": ["docker-cli", "postgresql-17-pgaudit"],
}
# The registry host comes ready: it stands for a service that the operator already has.
REGISTRY_PACKAGES = ("docker-registry", "cosign")

USER = "automation"
CUSTOMIZE = rf"""set -eu
root=$1
chroot "$root" useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/{USER}"
chmod 0440 "$root/etc/sudoers.d/{USER}"
install -d -m 0700 "$root/home/{USER}/.ssh"
chroot "$root" chown {USER}: /home/{USER}/.ssh
# Each host makes its own SSH host keys at first boot.
rm -f "$root"/etc/ssh/ssh_host_*
# The network is the lab's to configure: udev must not rename or renumber interfaces.
printf '[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep\nMACAddressPolicy=none\n' > "$root/etc/systemd/network/00-lab.link"
for unit in getty@.service systemd-modules-load.service; do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
cat > "$root/etc/systemd/system/lab-boot.service" <<'UNIT'
[Unit]
Description=What a container lacks next to a real machine
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
# systemd hands credentials to units only below a shared mount.
ExecStart=/bin/mount --make-rshared /
ExecStart=/usr/bin/ssh-keygen -A
[Install]
WantedBy=sysinit.target
UNIT
chroot "$root" systemctl enable lab-boot.service ssh.service >/dev/null 2>&1
# The lab's hosts are thrown away: a safe dpkg would only be slow.
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/lab"
chroot "$root" apt-get install --yes --download-only --no-install-recommends @DOWNLOADED@ >/dev/null
rm -f "$root/etc/machine-id" && touch "$root/etc/machine-id"
"""


@contextmanager
def _exclusive(name: str) -> Iterator[None]:
    """Two runs that want the same image: one builds, the other waits and finds it."""
    with open(paths.private_directory(paths.CACHE) / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tag(kind: str, *inputs: object) -> str:
    # The week is an input, so that package lists do not grow old.
    week = datetime.date.today().isocalendar()[:2]
    digest = hashlib.sha256(json.dumps([week, *inputs], default=str).encode()).hexdigest()[:12]
    return f"localhost/hardened-lab/{kind}:{digest}"


def _exists(tag: str) -> bool:
    return run(["podman", "image", "exists", tag], check=False).returncode == 0


def base_image(debian: str) -> str:
    """Return the image of a plain Debian host, building it when it is not cached (about 40 s)."""
    if debian not in SUITES:
        raise LabError(f"Debian {debian} is not known to the lab; choose one of {', '.join(SUITES)}")
    suite = SUITES[debian]
    customize = CUSTOMIZE.replace("@DOWNLOADED@", " ".join(DOWNLOADED + DOWNLOADED_ONLY[debian]))
    tag = _tag(f"debian{debian}", INSTALLED, customize, MIRROR, SECURITY_MIRROR)
    with _exclusive(f"debian{debian}"):
        if not _exists(tag):
            with tempfile.TemporaryDirectory() as scratch:
                hook = Path(scratch) / "customize.sh"
                hook.write_text(customize, encoding="utf-8")
                rootfs = Path(scratch) / "rootfs.tar"
                run(
                    [
                        *(
                            "mmdebstrap",
                            "--mode=root",
                            "--variant=minbase",
                            "--skip=cleanup/apt,cleanup/reproducible",
                        ),
                        *(f"--include={','.join(INSTALLED)}", '--aptopt=Acquire::Languages "none"'),
                        *(f'--customize-hook=sh {hook} "$1"', suite, str(rootfs)),
                        f"deb {MIRROR} {suite} main",
                        f"deb {MIRROR} {suite}-updates main",
                        f"deb {SECURITY_MIRROR} {suite}-security main",
                    ]
                )
                podman("import", "--change", 'CMD ["/sbin/init"]', str(rootfs), tag)
    return tag


def built_image(kind: str, base: str, script: str, *options: str, inputs: object = None) -> str:
    """Return the image that a script makes of another one, run as root in a container of it with a network."""
    tag = _tag(kind, base, script, inputs)
    with _exclusive(kind):
        if not _exists(tag):
            name = f"hardened-lab-build-{kind}-{os.getpid()}"
            try:
                run_options = (*host_options(), "--network=host", *options)
                podman("run", "--name", name, *run_options, base, "sh", "-c", script)
                podman("commit", "--change", 'CMD ["/sbin/init"]', name, tag)
            finally:
                podman("rm", "--force", "--volumes", name, check=False)
    return tag


def registry_image() -> str:
    """Return the image of the registry host: Debian 13 with docker-registry and cosign."""
    install = "apt-get install --yes --no-install-recommends " + " ".join(REGISTRY_PACKAGES)
    return built_image(
        "registry", base_image("13"), f"{install} && systemctl disable docker-registry && apt-get clean"
    )

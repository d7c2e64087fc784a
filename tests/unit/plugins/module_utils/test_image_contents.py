# SPDX-License-Identifier: GPL-3.0-or-later
"""Images' databases: of Debian whole and without a package manager, of Alpine, none, and one that leads out of the image."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.techsaas.hardened.plugins.module_utils import image_contents


def fill(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_debian(tmp_path: Path) -> None:
    status = (
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nDescription: x\n Package: none\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    root = fill(
        tmp_path, {"usr/lib/os-release": 'ID=debian\nVERSION_ID="12"\n', "var/lib/dpkg/status": status}
    )
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    found = image_contents.read(root)
    assert (found["distribution"], found["version"], found["database"]) == ("debian", "12", "dpkg")
    assert found["packages"] == {"libc6": "2.36-9"}


def test_debian_without_a_package_manager(tmp_path: Path) -> None:
    files = {
        "var/lib/dpkg/status.d/libc6": "Package: libc6\nVersion: 2.41-12+deb13u5\n",
        "var/lib/dpkg/status.d/libc6.md5sums": "x  y\n",
        "var/lib/dpkg/status.d/netbase": "Package: netbase\nVersion: 6.5\n",
        "usr/lib/python3.13/site-packages/opentelemetry_api-1.45.2.dist-info/METADATA": "",
        "usr/lib/python3.13/site-packages/x/y-1.dist-info/METADATA": "",
    }
    found = image_contents.read(fill(tmp_path, files))
    assert (found["distribution"], found["version"]) == ("debian", "13")
    assert found["packages"] == {"libc6": "2.41-12+deb13u5", "netbase": "6.5"}
    assert found["python"] == {"opentelemetry-api": "1.45.2"}


def test_the_release_is_not_guessed(tmp_path: Path) -> None:
    files = {f"var/lib/dpkg/status.d/{n}": f"Package: p{n}\nVersion: 1+deb{n}u1\n" for n in (12, 13)}
    assert image_contents.read(fill(tmp_path, files))["version"] == ""


def test_alpine(tmp_path: Path) -> None:
    files = {
        "etc/os-release": "ID=alpine\nVERSION_ID=3.20.1\n",
        "lib/apk/db/installed": "P:musl\nV:1.2.5-r0\nT:x\n\nP:zlib\nV:1.3\n",
    }
    found = image_contents.read(fill(tmp_path, files))
    assert (found["distribution"], found["database"]) == ("alpine", "apk")
    assert found["packages"] == {"musl": "1.2.5-r0", "zlib": "1.3"}


def test_an_image_of_nothing(tmp_path: Path) -> None:
    assert image_contents.read(tmp_path)["packages"] == {}


def test_a_link_does_not_lead_out_of_the_image(tmp_path: Path) -> None:
    fill(tmp_path / "outside", {"status": "Package: secret\nVersion: 1\n"})
    root = fill(tmp_path / "image", {"var/lib/dpkg/other": ""})
    (root / "var/lib/dpkg/status").symlink_to(tmp_path / "outside" / "status")
    assert image_contents.read(root)["packages"] == {}

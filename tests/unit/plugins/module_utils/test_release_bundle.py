# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that are kept: what a slot held comes back into either slot, and what somebody needs is never removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils import release_bundle
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.manifest import (
    Manifest,
    write_json,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.release_bundle import BundleError


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/hardened/app/blue/environment", "/etc/hardened/app/{slot}/environment"),
        ("/etc/systemd/system/hardened-app@blue.service", "/etc/systemd/system/hardened-app@{slot}.service"),
        ("/etc/credstore.encrypted/app-blue.SECRET_KEY", "/etc/credstore.encrypted/app-{slot}.SECRET_KEY"),
        ("/var/lib/hardened/slot-blue.json", "/var/lib/hardened/slot-{slot}.json"),
        ("/etc/hardened/blueprint.json", "/etc/hardened/blueprint.json"),
        ("/etc/app-bluetooth.conf", "/etc/app-bluetooth.conf"),
    ],
)
def test_the_place_of_the_slot_in_a_path(path: str, expected: str) -> None:
    assert release_bundle.neutral(path, "blue") == expected


def held(root: Path, slot: str = "blue") -> Path:
    """A slot's files and the manifest of their set; the root of the sets' states."""
    files = {f"app/{slot}/environment": b"A=1\n", f"credstore/app-{slot}.KEY": b"\x00encrypted"}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    state = root / "config_set" / f"app-{slot}"
    state.mkdir(parents=True)
    manifest = Manifest({str(root / name): "KEY" in name for name in files})
    write_json(str(state / "manifest.json"), manifest.to_json())
    return root / "config_set"


def take(root: Path, release: str = "one", image: str = "api@sha256:1") -> dict[str, Any]:
    return release_bundle.take("blue", release, image, "/readyz", 30, str(root / "config_set"))


def test_what_a_slot_held_fits_into_the_other(tmp_path: Path) -> None:
    held(tmp_path)
    directory = tmp_path / "releases"
    assert release_bundle.keep(take(tmp_path), directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "one.json").stat().st_mode & 0o777 == 0o600
    spec = release_bundle.spec_of(release_bundle.read("one", directory), "green", 18442)
    assert {(file.path, file.content, file.mode, file.secret) for file in spec.files} == {
        (str(tmp_path / "app/green/environment"), b"A=1\n", 0o600, False),
        (str(tmp_path / "credstore/app-green.KEY"), b"\x00encrypted", 0o600, True),
    }
    assert (spec.name, spec.services[0].name) == ("app-green", "hardened-app@green.service")
    assert spec.probes[0].http is not None
    assert spec.probes[0].http["url"] == "http://127.0.0.1:18442/readyz"


def test_keeping_the_same_again_changes_nothing_and_its_tags_stay(tmp_path: Path) -> None:
    held(tmp_path)
    directory = tmp_path / "releases"
    release_bundle.keep(take(tmp_path), directory)
    assert release_bundle.tag("one", "golden", present=True, directory=directory)
    assert not release_bundle.tag("one", "golden", present=True, directory=directory)
    assert not release_bundle.keep(take(tmp_path), directory)
    (tmp_path / "app/blue/environment").write_bytes(b"A=2\n")
    assert release_bundle.keep(take(tmp_path), directory)
    assert [one["tags"] for one in release_bundle.listed(directory)] == [["golden"]]


def test_a_tag_stands_for_one_release(tmp_path: Path) -> None:
    held(tmp_path)
    directory = tmp_path / "releases"
    for name in ("one", "two"):
        release_bundle.keep(take(tmp_path, name), directory)
    release_bundle.tag("one", "golden", present=True, directory=directory)
    release_bundle.tag("two", "golden", present=True, directory=directory)
    assert {one["release"]: one["tags"] for one in release_bundle.listed(directory)} == {
        "one": [],
        "two": ["golden"],
    }
    assert not release_bundle.tag("one", "golden", present=False, directory=directory)
    assert release_bundle.tag("two", "golden", present=False, directory=directory)


@pytest.mark.parametrize("name", ["", "../one", "a/b", "-x", "x" * 65])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="a name has 1 to 64"):
        release_bundle.read(name, tmp_path)


def test_what_is_not_kept_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="release one is not kept here"):
        release_bundle.read("one", tmp_path)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(BundleError, match="cannot be read"):
        release_bundle.read("one", tmp_path)
    assert release_bundle.listed(tmp_path) == []
    with pytest.raises(BundleError, match="slot blue holds nothing"):
        take(tmp_path)


def test_a_file_that_somebody_took_away_is_said(tmp_path: Path) -> None:
    held(tmp_path)
    (tmp_path / "app/blue/environment").unlink()
    with pytest.raises(BundleError, match="is no file any more"):
        take(tmp_path)


def test_what_may_go() -> None:
    kept = [{"release": name, "tags": ["golden"] if name == "b" else []} for name in "fedcba"]
    assert release_bundle.superfluous(kept, 2, {"c"}) == ["d", "a"]
    assert release_bundle.superfluous(kept, 9, set()) == []


def test_what_is_needed(tmp_path: Path) -> None:
    record = {"release": "three", "previous": {"release": "two"}}
    (tmp_path / "release.json").write_text(json.dumps(record))
    (tmp_path / "slot-blue.json").write_text(json.dumps({"release": "one"}))
    (tmp_path / "slot-green.json").write_text("damaged")
    assert release_bundle.needed(tmp_path) == {"one", "two", "three"}
    (tmp_path / "release.json").write_text(json.dumps({"release": "one", "previous": None}))
    assert release_bundle.needed(tmp_path) == {"one"}

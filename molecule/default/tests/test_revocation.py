# SPDX-License-Identifier: GPL-3.0-or-later
"""A key is taken away on every edge and in the application by one command, and let in again by another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labkit import plays
from labkit.client import Client


def revoke(client: Client, *options: str) -> Any:
    """The verb, none of whose words may be a secret."""
    return plays.play(client, "revoke.yml", *(word for option in options for word in ("-e", option)))


@pytest.fixture
def key(client: Client) -> Iterator[str]:
    issued: str = client.admin("POST", "/admin/keys", {"client": "to be revoked"}).json["key"]
    yield issued
    revoke(client, f"key_id={issued.partition('.')[0]}", "state=absent")
    client.admin("DELETE", f"/admin/keys/{issued.partition('.')[0]}")


def status(client: Client, header: str, value: str, path: str = "/v1/items") -> tuple[int, bool]:
    """Of an answer, and whether it says that the key was revoked."""
    answer = client.request("GET", path, headers={header: value})
    return answer.status, "revoked" in answer.headers.get("www-authenticate", "")


def test_a_key_is_refused_by_the_edge_and_by_the_application(
    client: Client, key: str, found: Callable[[str, float], bool]
) -> None:
    key_id, started = key.partition(".")[0], time.time()
    assert status(client, "X-API-Key", key) == (200, False)
    token = client.request("POST", "/v1/session", headers={"X-API-Key": key}).json["token"]
    planned = client.playbook("revoke.yml", "-e", f"key_id={key_id}", "-e", "reason=found", "--check")
    assert planned.returncode == 0 and status(client, "X-API-Key", key) == (200, False)
    done = revoke(client, f"key_id={key_id}", "reason=found")
    assert done.returncode == 0, done.stdout[-3000:]
    for header, value in (
        ("X-API-Key", key),
        ("Authorization", f"Bearer {key}"),
        ("authorization", f"bearer  {key} "),
    ):
        assert status(client, header, value) == (401, True), header
    # What the edge cannot know: a session that was opened with it.
    assert status(client, "Authorization", f"Bearer {token}") == (401, False)
    plays.eventually(lambda: found("revoked_key", started), 5)
    assert f"id-{key_id} since" in revoke(client, "state=list").stdout
    assert revoke(client, f"key_id={key_id}", "state=absent").returncode == 0
    assert status(client, "X-API-Key", key) == (401, False)


def test_the_administration_key_is_refused_until_it_is_let_in_again(client: Client) -> None:
    admin = client.secrets["app_admin_api_key"]
    try:
        done = revoke(client, "class=admin", "reason=stolen")
        assert done.returncode == 0, done.stdout[-3000:]
        assert status(client, "X-Admin-Key", admin, "/admin/keys") == (401, True)
        assert status(client, "Authorization", f"Bearer {admin}", "/admin/keys") == (401, True)
        kept = client.on(
            "edge-1", "sh", "-c", "cat /var/lib/hardened/edge/revoked/*; ls /var/lib/hardened/edge/revoked"
        )
        assert admin not in kept and "sha256-" in kept
    finally:
        assert revoke(client, "class=admin", "state=absent").returncode == 0
    assert status(client, "X-Admin-Key", admin, "/admin/keys") == (200, False)


def test_keys_in_a_file_are_refused_whole(client: Client, key: str, tmp_path: Path) -> None:
    other = "no-key-of-ours-but-somebody-may-take-it"  # pragma: allowlist secret
    listed = tmp_path / "found.txt"
    listed.write_text(f"# on a laptop\n{key}\n\n{other}\n")
    done = revoke(client, f"key_file={listed}", "reason=found")
    assert done.returncode == 0 and key not in done.stdout and other not in done.stdout, done.stdout[-3000:]
    assert status(client, "X-API-Key", key) == (401, True)
    assert status(client, "X-API-Key", other) == (401, True)
    assert status(client, "X-API-Key", f"{other}x") == (401, False)
    assert revoke(client, f"key_file={listed}", "state=absent").returncode == 0


@pytest.mark.parametrize(
    "options", [(), ("key_id=0123456789abcdef",), ("class=database", "reason=x"), ("reason=x",)]
)
def test_what_is_wanted_has_to_be_said(client: Client, options: tuple[str, ...]) -> None:
    done = revoke(client, *options)
    assert done.returncode != 0 and "Say -e key_id=ID" in " ".join(done.stdout.split())

# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are replaced while clients use them: nobody is refused who has a valid one, and everybody who has a value that has ended."""

from __future__ import annotations

import json
import subprocess

import pytest
from labkit import inventory
from labkit.load import Load

from molecule.rotation.conftest import APPS, Rotations, Sessions


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def retired(rotations: Rotations, name: str) -> None:
    """Whatever an earlier run of these tests has left."""
    succeeded(rotations.rotate("-e", f"secret={name}", "-e", "retire=true"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "class=nonsense"], "no such class: nonsense; there are: admin_api_key"),
        (["-e", "secret=app_nonsense"], "no such secret: app_nonsense"),
        (["-e", "reason=exposure", "-e", "overdue=true"], "say which secret is exposed"),
        ([], "say what to rotate"),
        (
            ["-e", "class=database", "-e", '{"hardened_rotation_overlap": {"database": "90d"}}'],
            "is not shorter than its 90 days",
        ),
        (
            ["-e", "class=database", "-e", '{"hardened_rotation_overlap": {"database": "long"}}'],
            "must be a number with one of the units",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    rotations: Rotations, arguments: list[str], said: str
) -> None:
    before = rotations.files()
    refused = rotations.rotate(*arguments)
    assert refused.returncode != 0
    assert said in " ".join(refused.stdout.split())
    assert rotations.files() == before


def test_a_plan_and_a_run_with_nothing_due_change_nothing(rotations: Rotations) -> None:
    before = rotations.files()
    plan = succeeded(rotations.rotate("-e", "class=admin_api_key", "--check"))
    assert "app_admin_api_key (admin_api_key): will be replaced, asked for" in " ".join(plan.split())
    succeeded(rotations.rotate("-e", "overdue=true"))
    assert rotations.files() == before


def test_each_class_is_replaced_without_a_request_lost(rotations: Rotations, api_key: str) -> None:
    before = rotations.secrets
    old_login = next(name for name, (may, _has) in rotations.logins().items() if may)
    session = rotations.session(api_key)
    headers = {"X-API-Key": api_key}
    for name in ("app_admin_api_key", "app_secret_key", "postgres_app_password"):
        with (
            Load(
                rotations.client, path="/v1/items", pause=1, headers=headers, body={"name": "rotation"}
            ) as load,
            Sessions(rotations, api_key) as sessions,
        ):
            succeeded(rotations.rotate("-e", f"secret={name}"))
        print(f"{name}: {load.words}; sessions {dict(sessions.statuses)}")
        assert load.lost == []
        assert set(load.since(0)) == {201}
        assert set(sessions.statuses) == {200}
        progress = rotations.progress(name)
        assert (progress["state"], progress["previous"]) == ("overlap", before[name])
    now = rotations.secrets
    assert all(
        now[name] != before[name] for name in ("app_admin_api_key", "app_secret_key", "postgres_app_password")
    )
    # Both are valid for a while.
    assert [rotations.admin(values["app_admin_api_key"]) for values in (before, now)] == [200, 200]
    assert rotations.with_session(session) == 200
    assert all(may and has for may, has in rotations.logins().values())
    refused = rotations.rotate("-e", "secret=app_admin_api_key")
    assert refused.returncode != 0 and "a third one would be valid" in " ".join(refused.stdout.split())

    with Load(rotations.client, path="/v1/items", pause=1, headers=headers, body={"name": "retire"}) as load:
        for name in ("app_admin_api_key", "app_secret_key", "postgres_app_password"):
            retired(rotations, name)
    print(f"retire: {load.words}")
    assert load.lost == []
    assert set(load.since(0)) == {201}
    assert [rotations.admin(values["app_admin_api_key"]) for values in (before, now)] == [401, 200]
    assert rotations.with_session(session) == 401
    assert rotations.with_session(rotations.session(api_key)) == 200
    logins = rotations.logins()
    assert logins.pop(old_login) == (False, False)
    assert list(logins.values()) == [(True, True)]
    entries = json.loads(rotations.files()[1])["secrets"]
    assert {entry["name"] for entry in entries} >= {"app_admin_api_key", "app_secret_key"}


def test_nothing_is_left_to_do_for_a_deployment(rotations: Rotations) -> None:
    output = succeeded(rotations.client.playbook("release.yml"))
    recap = [line for line in output.splitlines() if "changed=" in line]
    assert recap and all("changed=0" in line for line in recap), recap


def test_a_release_with_a_value_that_has_ended_is_no_way_back(rotations: Rotations) -> None:
    refused = rotations.client.playbook("rollback.yml")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    assert "that has ended since (rotate.yml)" in said
    assert "app_" in said


def test_an_exposed_key_ends_with_the_run(rotations: Rotations) -> None:
    before = rotations.secrets["app_admin_api_key"]
    succeeded(rotations.rotate("-e", "secret=app_admin_api_key", "-e", "reason=exposure"))
    now = rotations.secrets["app_admin_api_key"]
    assert [rotations.admin(key) for key in (before, now)] == [401, 200]
    assert rotations.progress("app_admin_api_key")["state"] == "idle"
    assert before not in json.dumps(rotations.secrets)


def test_the_authoritys_key_and_all_certificates(rotations: Rotations) -> None:
    key = inventory.directory(rotations.client.fleet.name) / ".pki" / "ca.key"
    before, serial = key.read_bytes(), serials(rotations)
    succeeded(rotations.rotate("-e", "secret=pki_ca_passphrase"))
    assert key.read_bytes() != before
    # The new passphrase opens it, or nothing could be signed.
    succeeded(rotations.rotate("-e", "class=certificate"))
    assert not serial & serials(rotations)
    assert rotations.client.request("GET", "/readyz").status == 200


def serials(rotations: Rotations) -> set[str]:
    found = set()
    for host in ("edge-1", "db-1", *APPS):
        command = "for file in /etc/hardened/pki/*.crt; do case $file in */ca.crt) ;; *) openssl x509 -noout -serial -in $file;; esac; done"
        found |= set(rotations.client.on(host, "sh", "-c", command).split())
    assert len(found) >= 6
    return found


def test_values_are_shown_nowhere(rotations: Rotations) -> None:
    output = succeeded(
        rotations.rotate("-e", "secret=app_admin_api_key", "-e", "canary=false", "-vvv", "--diff")
    )
    values = [rotations.secrets["app_admin_api_key"], rotations.progress("app_admin_api_key")["previous"]]
    assert all(values) and not [value for value in values if value in output]
    retired(rotations, "app_admin_api_key")

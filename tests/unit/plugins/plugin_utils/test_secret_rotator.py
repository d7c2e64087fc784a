# SPDX-License-Identifier: GPL-3.0-or-later
"""The rotation of secrets in a real vault file: each step, each kill between two steps, and what is refused."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_fingerprint import fingerprint
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_rotation import POLICY
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings
from ansible_collections.techsaas.hardened.plugins.plugin_utils import encrypted_key, secret_generator
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    Name,
    SecretProblem,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import Settings
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.vault_file import VaultFile
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_registry import Registry
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_rotator import (
    Progress,
    Rotator,
    Selection,
    Subject,
    agenda,
    beside,
    never_rotated,
    progress,
    value_for,
    view,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SUBJECTS = (
    Subject("key", Name("key"), "encryption_key", "signed"),
    Subject("admin", Name("admin"), "admin_api_key", "accepted"),
    Subject("login", Name("database", "password"), "database", "login", "alnum"),
    Subject("passphrase", Name("passphrase"), "encryption_key", "local"),
    Subject("webhook", Name("webhook"), "service_account", "issued"),
    Subject("absent", Name("absent"), "service_account", "replaced"),
)
# In the order in which the playbook takes them.
STEPS = ("begun", "switching", "committed", "settled")


class Killed(Exception):
    pass


class Vault:
    def __init__(self, root: Path) -> None:
        self.path, self.registry = root / "secrets.yml", root / "registry.json"
        secret = VaultSecret(secrets.token_hex(16).encode())
        self.values = {
            name: secrets.token_urlsafe(48) for name in ("key", "admin", "login", "passphrase", "webhook")
        }
        text = "".join(
            f"{name}: {value}\n" if name != "login" else f"database:\n  password: {value}\n"
            for name, value in self.values.items()
        )
        self.path.write_bytes(VaultLib().encrypt(text, secret, "prod"))
        loader = DataLoader()
        loader.set_vault_secrets([("prod", secret)])
        self.backend = VaultFile(Settings(file=str(self.path)), loader)

    def rotator(self, now: datetime = NOW, **more: Any) -> Rotator:
        return Rotator(
            self.backend, str(self.registry), SUBJECTS, POLICY, {"database": timedelta(hours=1)}, now, **more
        )

    def register(self, days_ago: int, *names: str, now: datetime = NOW) -> None:
        created = now - timedelta(days=days_ago)
        registry = Registry(str(self.registry))
        key = secret_generator.verified_key(self.backend, registry) or secret_generator.new_key(self.backend)
        for name in names:
            value = self.read(name)
            entry = {"class": "database", "version": "1", "created": f"{created:%Y-%m-%dT%H:%M:%SZ}"}
            registry.put(name, {**entry, "fingerprint": fingerprint(value, key)}, key)
        registry.save()

    def read(self, name: str) -> str:
        path, _dot, part = name.partition(".")
        return self.backend.read(Name(path, part or None)).value

    def rotate(self, variable: str, now: datetime = NOW, reason: str = "", **more: Any) -> None:
        rotator = self.rotator(now, **more)
        for step in STEPS:
            rotator.step(step, [variable], reason)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def refusal(rotator: Rotator, **wanted: Any) -> str:
    with pytest.raises(SecretProblem) as caught:
        rotator.plan(Selection(**wanted))
    assert caught.value.problem_code == "ROTATION_REFUSED"
    return caught.value.problem_rule


def actions(rotator: Rotator, **wanted: Any) -> dict[str, str]:
    return {row.variable: row.action for row in rotator.plan(Selection(**wanted)) if row.action != "none"}


def test_what_is_valid_at_each_step(vault: Vault) -> None:
    name, old = Name("database", "password"), vault.values["login"]
    rotator = vault.rotator()
    assert view(vault.backend, name, False)["fallbacks"] == []
    assert rotator.step("begun", ["login"]) == ["login"]
    new = progress(vault.backend, name).pending
    assert findings(new) == [] and new.isalnum() and new != old
    for step in ("begun", "switching"):
        rotator.step(step, ["login"])
        for is_candidate, used, fallbacks, generation in ((False, old, [new], 0), (True, new, [old], 1)):
            assert (value_for(vault.backend, name, is_candidate) or vault.read("database.password")) == used
            seen = view(vault.backend, name, is_candidate)
            assert (seen["fallbacks"], seen["generation"], seen["settled"]) == (
                fallbacks,
                generation,
                old if is_candidate else "",
            )
            assert len(seen["accepted"]) == 2
    rotator.step("committed", ["login"])
    assert "pending" not in json.loads(vault.registry.read_text())
    for step in ("settled", "settled"):
        # A release that still calls it a candidate, after a kill, gets the same.
        for is_candidate in (False, True):
            assert value_for(vault.backend, name, is_candidate) is None
            seen = view(vault.backend, name, is_candidate)
            assert (seen["fallbacks"], seen["generation"], seen["settled"]) == ([old], 1, "")
        rotator.step(step, ["login"])
    assert vault.read("database.password") == new and vault.read("key") == vault.values["key"]
    assert progress(vault.backend, name).until == "2026-11-29T13:00:00Z"
    later = vault.rotator(NOW + timedelta(hours=2))
    later.step("retiring", ["login"])
    assert old not in vault.read("database.password_rotation")
    assert view(vault.backend, name, False)["fallbacks"] == []
    later.step("retired", ["login"])
    assert progress(vault.backend, name) == Progress(generation=1)
    assert old not in vault.read("database.password_rotation")


def test_the_registry_has_the_new_value_with_its_date(vault: Vault) -> None:
    vault.register(100, "database.password")
    vault.rotate("login")
    (entry,) = json.loads(vault.registry.read_text())["secrets"]
    assert (entry["name"], entry["version"], entry["created"]) == (
        "database.password",
        "2",
        "2026-11-29T12:00:00Z",
    )
    assert [one["version"] for one in entry["history"]] == ["1"] and entry["class"] == "database"
    marks = view(vault.backend, Name("database", "password"), False)["accepted"]
    assert marks == [entry["fingerprint"], entry["history"][0]["fingerprint"]]


def test_a_kill_at_any_point_loses_nothing_and_makes_no_third_value(vault: Vault) -> None:
    seen: list[str] = []
    Vault.rotate(vault, "key", observe=seen.append)
    assert len(seen) >= 6
    for point in range(len(seen)):
        name = Name("admin")
        old = vault.read("admin")
        count = 0

        def kill(_step: str, point: int = point) -> None:
            nonlocal count
            count += 1
            if count > point:
                raise Killed

        with pytest.raises(Killed):
            vault.rotate("admin", observe=kill)
        pending = progress(vault.backend, name).pending
        vault.rotate("admin", now=NOW + timedelta(minutes=point))
        new = vault.read("admin")
        assert new != old and (not pending or new == pending)
        found = progress(vault.backend, name)
        assert (found.state, found.previous, found.pending) == ("overlap", old, "")
        assert view(vault.backend, name, False)["accepted"][0] in vault.registry.read_text()
        assert "pending" not in json.loads(vault.registry.read_text())
        for step in ("retiring", "retired"):
            vault.rotator().step(step, ["admin"])


class HalfWritten:
    """A backend behind a network, where the first of two values got there, and nothing after it."""

    def __init__(self, backend: VaultFile) -> None:
        self.read, self.place, self._backend = backend.read, backend.place, backend

    def write(self, values: Mapping[Name, str]) -> Any:
        first = dict(list(values.items())[:1])
        self._backend.write(first)
        if len(values) > 1:
            raise Killed
        return self._backend.write(values)


def test_a_kill_between_the_secret_and_its_progress(vault: Vault) -> None:
    rotator = vault.rotator()
    for step in STEPS[:2]:
        rotator.step(step, ["key"])
    rotator.backend = HalfWritten(vault.backend)
    with pytest.raises(Killed):
        rotator.step("committed", ["key"])
    new = vault.read("key")
    assert new != vault.values["key"] and progress(vault.backend, Name("key")).state == "switching"
    # Both are valid meanwhile, whichever a release is made with.
    assert new in (vault.read("key"), *view(vault.backend, Name("key"), False)["fallbacks"])
    vault.rotate("key")
    found = progress(vault.backend, Name("key"))
    assert (vault.read("key"), found.previous, found.generation) == (new, vault.values["key"], 1)


def test_somebody_elses_change_stops_it(vault: Vault) -> None:
    rotator = vault.rotator()
    for step in STEPS[:2]:
        rotator.step(step, ["key"])
    vault.backend.write({Name("key"): "z" * 40})
    with pytest.raises(SecretProblem) as caught:
        rotator.step("committed", ["key"])
    assert caught.value.problem_code == "CONFLICT" and vault.read("key") == "z" * 40


def test_only_what_is_overdue_is_planned(vault: Vault) -> None:
    vault.register(91, "admin")
    vault.register(89, "database.password")
    vault.register(366, "key", "webhook")
    rotator = vault.rotator()
    assert actions(rotator, overdue=True) == {"admin": "rotate", "key": "rotate"}
    rows = {row.variable: row for row in rotator.plan(Selection(overdue=True))}
    assert rows["admin"].why == "in use for 91 days, 1 too many"
    assert rows["login"].why == "in use for 89 days, due in 1" and "absent" not in rows
    assert "not known" in rows["passphrase"].why
    assert actions(rotator, class_name="database") == {"login": "rotate"}
    assert actions(rotator, secrets=["database.password", "admin"]) == {
        "login": "rotate",
        "admin": "rotate",
    }
    assert agenda(rotator.plan(Selection(secrets=["admin"])), Selection())["stage"] is False
    todo = agenda(rotator.plan(Selection(overdue=True)), Selection(overdue=True))
    assert (todo["stage"], todo["candidates"], todo["logins"], todo["needed"]) == (
        True,
        ["key", "admin"],
        False,
        True,
    )


def test_what_is_under_way_is_finished_first(vault: Vault) -> None:
    vault.register(1, "admin", "key")
    vault.rotator().step("begun", ["login"])
    assert actions(vault.rotator(), overdue=True) == {"login": "resume"}
    todo = agenda(vault.rotator().plan(Selection(overdue=True)), Selection())
    assert (todo["begin"], todo["switch"], todo["logins"], todo["release"]) == (
        [],
        ["login"],
        True,
        True,
    )
    for step in STEPS:
        vault.rotator().step(step, ["login"])
    assert actions(vault.rotator(), overdue=True) == {}
    over = vault.rotator(NOW + timedelta(hours=1))
    assert actions(over, overdue=True) == {"login": "retire"}
    todo = agenda(over.plan(Selection(overdue=True)), Selection())
    assert (todo["retire"], todo["release"], todo["stage"], todo["logins"]) == (
        ["login"],
        False,
        False,
        True,
    )


def test_a_third_value_is_refused_but_not_when_one_is_exposed(vault: Vault) -> None:
    vault.rotate("login")
    assert "accepted until 2026-11-29T13:00:00Z" in refusal(vault.rotator(), secrets=["login"])
    assert actions(vault.rotator(), secrets=["login"], retire=True) == {"login": "retire"}
    assert actions(vault.rotator(), secrets=["login"], reason="exposure") == {"login": "rotate"}


def test_an_exposed_value_ends_with_the_switch(vault: Vault) -> None:
    name, old = Name("admin"), vault.values["admin"]
    rotator = vault.rotator()
    for step in STEPS[:2]:
        rotator.step(step, ["admin"], "exposure")
    assert view(vault.backend, name, True)["fallbacks"] == []
    for step in STEPS[2:]:
        rotator.step(step, ["admin"])
    assert progress(vault.backend, name) == Progress(generation=1)
    assert old not in vault.read("admin_rotation")
    wanted = Selection(secrets=["key"], reason="exposure")
    assert agenda(vault.rotator().plan(wanted), wanted)["stage"] is False


def test_a_new_value_can_be_abandoned(vault: Vault) -> None:
    for steps in (("begun",), ("begun", "switching")):
        for step in steps:
            vault.rotator().step(step, ["key"])
        plan = vault.rotator().plan(Selection(secrets=["key"], abandon=True))
        todo = agenda(plan, Selection())
        assert (todo["abandon"], todo["stage"], todo["release"]) == (["key"], True, False)
        for step in ("withdrawn", "abandoned"):
            vault.rotator().step(step, ["key"])
        assert progress(vault.backend, Name("key")) == Progress()
        assert vault.read("key") == vault.values["key"]
    assert actions(vault.rotator(), secrets=["key"], abandon=True) == {}


def test_all_that_is_wrong_is_said_at_once(vault: Vault) -> None:
    rotator = vault.rotator()
    rotator.overlaps = {"database": timedelta(days=90)}
    said = refusal(rotator, secrets=["absent", "nonsense"], class_name="other")
    for part in ("no such secret: nonsense", "no such class: other", "database is not shorter than its 90"):
        assert part in said
    assert "not in the backend: absent" in refusal(vault.rotator(), secrets=["absent"])
    elsewhere = vault.rotator()
    elsewhere.subjects = [one for one in SUBJECTS if one.variable == "absent"]
    said = refusal(elsewhere, class_name="service_account")
    assert said == "class service_account: not in the backend: absent"
    assert "issued by somebody else" in refusal(vault.rotator(), class_name="service_account")
    assert actions(vault.rotator(), secrets=["webhook", "admin"]) == {"webhook": "by hand", "admin": "rotate"}
    vault.register(-1, "admin", "key")
    said = refusal(vault.rotator(), overdue=True)
    assert said.count("lies in the future") == 2 and "admin:" in said and "key:" in said
    assert progress(vault.backend, Name("admin")) == Progress()


def test_a_vault_file_that_cannot_be_opened_has_rotated_nothing(vault: Vault) -> None:
    vault.rotate("key")
    loader = DataLoader()
    loader.set_vault_secrets([("other", VaultSecret(b"another"))])
    closed = VaultFile(Settings(file=str(vault.path)), loader)
    assert view(closed, Name("key"), False) == never_rotated()
    with pytest.raises(SecretProblem):
        progress(closed, Name("key"))
    vault.path.write_text("key: in clear")
    with pytest.raises(SecretProblem):
        view(vault.backend, Name("key"), False)


def test_a_hand_edited_progress_is_refused(vault: Vault) -> None:
    vault.backend.write({beside(Name("key")): '{"state": "done"}'})
    with pytest.raises(SecretProblem) as caught:
        vault.rotator().plan(Selection(overdue=True))
    assert caught.value.problem_code == "ROTATION"


def test_the_authoritys_key_gets_the_new_passphrase(vault: Vault, tmp_path: Path) -> None:
    file = tmp_path / "ca.key"
    key = ec.generate_private_key(ec.SECP384R1())
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(vault.values["passphrase"].encode()),
    )
    file.write_bytes(encrypted)
    file.chmod(0o600)

    def apply(_subject: Subject, old: str, new: str) -> None:
        encrypted_key.change_passphrase(str(file), old, new)

    def kill(step: str) -> None:
        if step == "applied passphrase":
            raise Killed

    with pytest.raises(Killed):
        vault.rotate("passphrase", apply_local=apply, observe=kill)
    vault.rotate("passphrase", apply_local=apply)
    new = vault.read("passphrase")
    assert new != vault.values["passphrase"] and file.stat().st_mode & 0o777 == 0o600
    opened = serialization.load_pem_private_key(file.read_bytes(), new.encode())
    assert opened.private_numbers() == key.private_numbers()  # type: ignore[union-attr]
    # Nobody but the controller used the one before.
    assert progress(vault.backend, Name("passphrase")) == Progress(generation=1)
    assert [path.name for path in tmp_path.glob("ca.key*")] == ["ca.key"]
    file.write_bytes(b"nonsense")
    with pytest.raises(SecretProblem) as caught:
        vault.rotate("passphrase", apply_local=apply)
    assert caught.value.problem_code == "CA_KEY" and file.read_bytes() == b"nonsense"
    assert vault.read("passphrase") == new

# SPDX-License-Identifier: GPL-3.0-or-later
"""New secrets in a real vault file: nothing else changes, nothing is ever in clear, and a kill costs nothing."""

from __future__ import annotations

import json
import os
import secrets
import signal
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_strength import findings
from ansible_collections.techsaas.hardened.plugins.plugin_utils import secret_generator
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.base import (
    Name,
    SecretProblem,
    parse_name,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.settings import Settings
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_backends.vault_file import VaultFile
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_generator import (
    Generator,
    Request,
    Row,
)
from ansible_collections.techsaas.hardened.plugins.plugin_utils.secret_records import records

TEXT = "# first\nold: of long ago  # keep me\nother: 'stays'\n"


class Safe:
    """A directory with a vault file and its registry."""

    def __init__(self, root: Path) -> None:
        self.path = root / "secrets.yml"
        self.registry = root / "registry.json"
        self.secret = VaultSecret(secrets.token_hex(16).encode())

    def backend(self, *ids: tuple[str, VaultSecret]) -> VaultFile:
        loader = DataLoader()
        loader.set_vault_secrets(list(ids) if ids else [("prod", self.secret)])
        return VaultFile(Settings(file=str(self.path)), loader)

    def write(self, text: str, vault_id: str | None = "prod") -> None:
        self.path.write_bytes(VaultLib().encrypt(text, self.secret, vault_id))

    def text(self) -> str:
        return str(VaultLib([("prod", self.secret)]).decrypt(self.path.read_bytes()), "utf-8")

    def entries(self) -> dict[str, Any]:
        rows = json.loads(self.registry.read_text())["secrets"]
        return {row["name"]: row for row in rows}

    def run(
        self, *names: str, observe: Callable[[str], None] = lambda step: None, **options: Any
    ) -> list[Row]:
        request = Request(
            names=tuple(parse_name(name) for name in names),
            class_name=options.pop("class_name", "database"),
            **options,
        )
        return Generator(self.backend(), str(self.registry), request, observe).run()

    def actions(self, *names: str, **options: Any) -> list[str]:
        return [row.action for row in self.run(*names, **options)]


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    return Safe(tmp_path)


def problem_code(function: Callable[[], Any]) -> str:
    with pytest.raises(SecretProblem) as caught:
        function()
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return caught.value.problem_code


def test_only_what_is_new_changes_in_the_file(safe: Safe) -> None:
    safe.write(TEXT)
    safe.path.chmod(0o640)
    assert safe.actions("fresh", "db.password") == ["created", "created"]
    text = safe.text()
    assert text.startswith(TEXT) and safe.path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert stat.S_IMODE(safe.path.stat().st_mode) == 0o640
    value = safe.backend().read(Name("fresh")).value
    assert len(value) == 64 and findings(value) == [] and value in text
    assert value != safe.backend().read(Name("db", "password")).value
    assert safe.actions("fresh", "db.password") == ["unchanged", "unchanged"]
    assert safe.actions("old", rotate=True) == ["rotated"]
    assert "  # keep me\nother: 'stays'\n" in safe.text() and "of long ago" not in safe.text()
    left = sorted(path.name for path in safe.path.parent.iterdir())
    assert left == ["registry.json", "registry.json.lock", "secrets.yml", "secrets.yml.bak"]


def test_the_backup_is_the_encrypted_file_of_before(safe: Safe) -> None:
    safe.write(TEXT)
    safe.run("fresh")
    before = safe.path.read_bytes()
    safe.run("fresh", rotate=True)
    backup = safe.path.with_name("secrets.yml.bak")
    assert backup.read_bytes() == before and before.startswith(b"$ANSIBLE_VAULT;")
    assert stat.S_IMODE(backup.stat().st_mode) == stat.S_IMODE(safe.path.stat().st_mode)


def test_clear_text_is_never_written_anywhere(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    safe.write(TEXT)
    written: list[bytes] = []
    real = os.open

    def watched(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
        descriptor = real(path, flags, *arguments, **more)
        if flags & (os.O_WRONLY | os.O_RDWR):
            opened.append(os.path.realpath(path))
        return descriptor

    opened: list[str] = []
    monkeypatch.setattr(os, "open", watched)
    safe.run("fresh", observe=lambda step: written.extend(p.read_bytes() for p in safe.path.parent.iterdir()))
    value = safe.backend().read(Name("fresh")).value.encode()
    assert written and not any(value in content for content in written)
    assert {os.path.dirname(path) for path in opened} == {str(safe.path.parent)}


@pytest.mark.parametrize("vault_id", [None, "prod", "another"])
def test_the_vault_id_stays(safe: Safe, vault_id: str | None) -> None:
    safe.write(TEXT, vault_id)
    header = safe.path.read_bytes().splitlines()[0]
    safe.run("fresh")
    assert safe.path.read_bytes().splitlines()[0] == header


def test_what_a_killed_run_left_is_swept(safe: Safe) -> None:
    safe.write(TEXT)
    old, new, other = (safe.path.with_name(f".secrets.yml.{tail}") for tail in ("0" * 16, "1" * 16, "mine"))
    for file in (old, new, other):
        file.write_bytes(safe.path.read_bytes())
    for file in (old, other):
        os.utime(file, (0, 0))
    safe.run("fresh")
    assert [file.exists() for file in (old, new, other)] == [False, True, True]


def test_a_link_stays_a_link(safe: Safe, tmp_path: Path) -> None:
    safe.write(TEXT)
    real = tmp_path / "elsewhere"
    real.mkdir()
    safe.path.rename(real / "secrets.yml")
    safe.path.symlink_to(real / "secrets.yml")
    safe.run("fresh")
    assert safe.path.is_symlink() and safe.backend().read(Name("fresh")).value


def test_a_new_file_is_for_its_owner_only(safe: Safe) -> None:
    assert safe.actions("fresh") == ["created"]
    assert stat.S_IMODE(safe.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(safe.registry.stat().st_mode) == 0o600


def test_a_new_file_needs_to_know_for_which_password(safe: Safe, tmp_path: Path) -> None:
    two = safe.backend(("one", safe.secret), ("two", safe.secret))
    assert problem_code(lambda: two.write({Name("a"): "b"})) == "VAULT_ID"
    loader = DataLoader()
    loader.set_vault_secrets([("one", safe.secret), ("two", safe.secret)])
    VaultFile(Settings(file=str(safe.path), vault_id="two"), loader).write({Name("a"): "b"})
    assert safe.path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;two\n")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a: 1\n", "CLEAR_TEXT"),
        (b"$ANSIBLE_VAULT;1.1;AES256\nzz\n", "VAULT_FORMAT"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n61620a\n", "VAULT_FORMAT"),
        (b"$ANSIBLE_VAULT\n", "VAULT_FORMAT"),
        (None, "NOT_FOUND"),
    ],
)
def test_unreadable_files_by_class(safe: Safe, content: bytes | None, code: str) -> None:
    if content is not None:
        safe.path.write_bytes(content)
    assert problem_code(lambda: safe.backend().read(Name("a"))) == code
    if content is not None:
        assert problem_code(lambda: safe.run("a")) == code
        assert safe.path.read_bytes() == content and not safe.registry.exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [\n", "YAML"),
        ("- a\n", "YAML"),
        ("a: 1\n", "NOT_TEXT"),
        ("a:\n  b: c\n", "NOT_TEXT"),
        ("a: [b]\n", "NOT_TEXT"),
        ("b: 1\n", "NOT_FOUND"),
        ("", "NOT_FOUND"),
    ],
)
def test_unusable_contents_by_class(safe: Safe, text: str, code: str) -> None:
    safe.write(text)
    assert problem_code(lambda: safe.backend().read(Name("a"))) == code


def test_broken_yaml_names_the_line_and_not_the_text(safe: Safe) -> None:
    canary = secrets.token_hex(16)
    safe.write(f"a: 1\nb: '{canary}\n")
    with pytest.raises(SecretProblem) as caught:
        safe.backend().read(Name("a"))
    assert "line 3" in str(caught.value) and canary not in str(caught.value)


def test_keys(safe: Safe) -> None:
    safe.write("db:\n  password: it\ntext: plain\n")
    assert safe.backend().read(Name("db", "password")).value == "it"
    assert problem_code(lambda: safe.backend().read(Name("db", "user"))) == "KEY_MISSING"
    assert problem_code(lambda: safe.backend().read(Name("text", "key"))) == "KEY_MISSING"


def test_passwords_by_class(safe: Safe) -> None:
    safe.write(TEXT)
    wrong = safe.backend(("prod", VaultSecret(b"wrong")), ("test", VaultSecret(b"too")))
    with pytest.raises(SecretProblem) as caught:
        wrong.read(Name("old"))
    assert caught.value.problem_code == "VAULT_PASSWORD" and "prod, test" in str(caught.value)
    loader = DataLoader()
    loader.set_vault_secrets([])
    none = VaultFile(Settings(file=str(safe.path)), loader)
    assert problem_code(lambda: none.read(Name("old"))) == "VAULT_PASSWORD"


def test_shapes_that_cannot_be_edited_are_left_alone(safe: Safe) -> None:
    safe.write("{hardened_fingerprint_key: " + "k" * 40 + ", a: 'b'}\n")
    before = safe.path.read_bytes()
    assert problem_code(lambda: safe.run("fresh")) == "VAULT_SHAPE"
    assert safe.path.read_bytes() == before


def test_somebody_else_s_change_is_not_lost(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    safe.write(TEXT)
    backend = safe.backend()
    real = backend._edited

    def edited(*arguments: Any) -> str:
        safe.write("new: 'of somebody else'\n")
        return real(*arguments)

    monkeypatch.setattr(backend, "_edited", edited)
    assert problem_code(lambda: backend.write({Name("a"): "b"})) == "CONFLICT"
    assert safe.text() == "new: 'of somebody else'\n"


def test_registry_tells_class_version_date_and_a_keyed_mark(safe: Safe) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    safe.run("fresh", class_name="encryption_key")
    safe.run("fresh", class_name="encryption_key", rotate=True)
    entry = safe.entries()["fresh"]
    assert (entry["class"], entry["version"]) == ("encryption_key", "2")
    assert before <= datetime.fromisoformat(entry["created"].replace("Z", "+00:00")) <= datetime.now(UTC)
    assert [old["version"] for old in entry["history"]] == ["1"]
    assert entry["history"][0]["fingerprint"] != entry["fingerprint"]
    assert safe.backend().read(Name("fresh")).value not in safe.registry.read_text()
    row = records(safe.backend(), str(safe.registry), [Name("fresh")], with_value=False)[0]
    assert (row["version"], row["created"], row["class"]) == ("2", entry["created"], "encryption_key")
    assert "value" not in row


def test_a_value_changed_by_hand_is_registered_with_an_unknown_date(safe: Safe) -> None:
    safe.run("fresh")
    safe.write(safe.text().replace(safe.backend().read(Name("fresh")).value, secrets.token_hex(32)))
    row = records(safe.backend(), str(safe.registry), [Name("fresh")], with_value=False)[0]
    assert row["created"] is None
    assert safe.actions("fresh") == ["registered"]
    entry = safe.entries()["fresh"]
    assert (entry["version"], entry["created"], len(entry["history"])) == ("2", None, 1)
    assert safe.actions("fresh") == ["unchanged"]
    assert safe.actions("fresh", class_name="encryption_key") == ["reclassified"]
    assert len(safe.entries()["fresh"]["history"]) == 1


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("step", ["key", "intended", "written", "registered"])
def test_a_killed_run_is_made_good_by_the_next(safe: Safe, step: str, rotate: bool) -> None:
    safe.write(TEXT)
    if rotate:
        safe.run("a", "b.c")
    child = os.fork()
    if child == 0:

        def die(reached: str) -> None:
            if reached == step:
                os.kill(os.getpid(), signal.SIGKILL)

        safe.run("a", "b.c", observe=die, rotate=rotate)
        os._exit(3)
    died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # A key is made once only.
    assert died == (3 if step == "key" and rotate else -signal.SIGKILL)
    actions = safe.actions("a", "b.c")
    expected = {"written": "repaired", "registered": "unchanged", "key": "created", "intended": "created"}[
        step
    ]
    if rotate and step in ("key", "intended"):
        expected = "unchanged" if step == "key" else "repaired"
    assert actions == [expected] * 2
    document = json.loads(safe.registry.read_text())
    assert "pending" not in document
    written = rotate and step != "intended"
    for name in ("a", "b.c"):
        row = records(safe.backend(), str(safe.registry), [parse_name(name)], with_value=False)[0]
        assert row["created"] is not None and row["version"] == ("2" if written else "1")
    assert safe.actions("a", "b.c") == ["unchanged"] * 2
    assert safe.text().startswith(TEXT)


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (lambda text: text.replace('"format": 1', '"format": 2'), "REGISTRY", 1),
        (lambda text: text.replace('"version": "1",', '"version": "1"'), "REGISTRY", 8),
        (lambda text: text.replace('"version": "1"', '"version": 1'), "REGISTRY", 5),
        (lambda text: text.replace('"class": "database"', '"class": "Data Base"'), "REGISTRY", 5),
        (lambda text: text.replace('"created": "2', '"created": "x2'), "REGISTRY", 5),
        (lambda text: text.replace('"created": "20', '"created": "21'), "REGISTRY_EDITED", 5),
        (lambda text: text.replace('"class": "database"', '"class": "encryption_key"'), "REGISTRY_EDITED", 5),
        (lambda text: text.replace('"secrets": [', '"secrets": [1,'), "REGISTRY", 1),
        (lambda text: "", "REGISTRY", 1),
        (lambda text: "<<<<<<< ours\n" + text, "REGISTRY", 1),
    ],
)
def test_a_registry_changed_by_hand_is_reported_and_left(
    safe: Safe, change: Callable[[str], str], code: str, line: int
) -> None:
    safe.run("fresh")
    text = safe.registry.read_text()
    changed = change(text)
    assert changed != text
    safe.registry.write_text(changed)
    before = safe.path.read_bytes()
    with pytest.raises(SecretProblem) as caught:
        safe.run("fresh", "another", rotate=True)
    assert caught.value.problem_code == code and f"{safe.registry}:{line}: " in caught.value.problem_rule
    assert caught.value.problem_fix
    assert (safe.registry.read_text(), safe.path.read_bytes()) == (changed, before)


def test_an_entry_that_was_deleted_comes_back_with_an_unknown_date(safe: Safe) -> None:
    safe.run("a", "b")
    document = json.loads(safe.registry.read_text())
    del document["secrets"][0]
    safe.registry.write_text(json.dumps(document))
    assert safe.actions("a", "b") == ["registered", "unchanged"]
    assert safe.entries()["a"]["created"] is None


def test_a_registry_without_its_key_is_not_sealed_anew(safe: Safe) -> None:
    safe.run("a")
    safe.path.unlink()
    assert problem_code(lambda: safe.run("a")) == "REGISTRY_KEY"


def test_check_mode_writes_nothing(safe: Safe) -> None:
    assert safe.actions("a", check=True) == ["created"]
    assert list(safe.path.parent.iterdir()) == []
    safe.write(TEXT)
    before = safe.path.read_bytes()
    assert safe.actions("old", "a", check=True) == ["registered", "created"]
    assert safe.path.read_bytes() == before and not safe.registry.exists()


def test_runs_at_the_same_time_take_turns(safe: Safe) -> None:
    safe.write(TEXT)
    names = [f"name_{number}" for number in range(6)]
    children = []
    for name in names:
        child = os.fork()
        if child == 0:
            try:
                safe.run(name)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert sorted(safe.entries()) == names and safe.actions(*names) == ["unchanged"] * 6
    values = [safe.backend().read(Name(name)).value for name in names]
    assert len(set(values)) == 6


def test_a_lock_that_stays_is_told(safe: Safe) -> None:
    started = time.monotonic()

    def meanwhile(_step: str) -> None:
        assert problem_code(lambda: safe.run("b", lock_seconds=0.2)) == "LOCKED"

    assert [row.action for row in safe.run("a", observe=meanwhile)] == ["created"]
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("form", secret_generator.FORMATS)
@pytest.mark.parametrize("length", [32, 64])
def test_every_format_passes_the_rules(form: str, length: int) -> None:
    values = {secret_generator.generate(form, length) for _index in range(20)}
    assert len(values) == 20 and {len(value) for value in values} == {length}
    assert not any(findings(value) for value in values)


@pytest.mark.parametrize("term", ["", "a b", "../x", "a..b", "a.b.c", "/a", "a/", "{{ x }}", 3, "a\n"])
def test_names_that_are_none_are_not_repeated(term: Any) -> None:
    with pytest.raises(SecretProblem) as caught:
        parse_name(term)
    assert caught.value.problem_code == "NAME"
    assert len(str(term)) < 4 or str(term) not in str(caught.value)

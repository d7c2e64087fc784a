# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs behind pre-commit, `make lint`, `make security-check` and `make verify-config`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import clear_secrets
import pytest

_ROOT = Path(__file__).resolve().parents[2]
_CLEAR = "hardened_environment: lab\napp_secret_key: zebra-zebra\n"
_SEALED = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"
_GIT = {
    **{f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Repository:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> None:
        command = ["git", "-C", str(self.root), *arguments]
        subprocess.run(command, check=True, env={**os.environ, **_GIT}, capture_output=True)

    def commit(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")

    def history(self, environment: str = "") -> list[str]:
        """PATH:LINE: VARIABLE of what is found, without commits and advice."""
        found = clear_secrets.in_history(clear_secrets.specified_finder(), self.root, environment)
        assert "zebra" not in str(found)
        return sorted(row.partition(":")[2].partition(" CLEAR")[0] for row in found)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_history_remembers_what_the_files_no_longer_say(repository: Repository) -> None:
    repository.commit("inventories/a/group_vars/all.yml", _CLEAR)
    repository.commit("inventories/a/group_vars/all.yml", _SEALED)
    repository.commit("inventories/b/hosts", "[app]\nh1 app_admin_api_key=zebra\n")
    repository.git("rm", "--quiet", "inventories/b/hosts")
    repository.commit("old/vault.yml", "anything: zebra\n")
    repository.git("mv", "old/vault.yml", "old/other.txt")
    repository.commit("README.txt", _CLEAR)
    assert repository.history() == [
        "inventories/a/group_vars/all.yml:2: app_secret_key",
        "inventories/b/hosts:2: app_admin_api_key",
        "old/vault.yml:1: anything",
    ]
    assert repository.history("a") == [
        "inventories/a/group_vars/all.yml:2: app_secret_key",
        "old/vault.yml:1: anything",
    ]


def test_history_includes_branches_merges_and_what_was_reset(repository: Repository) -> None:
    repository.commit("group_vars/all.yml", "x: 1\n")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("group_vars/side.yml", _CLEAR)
    repository.git("checkout", "--quiet", "main")
    assert repository.history() == ["group_vars/side.yml:2: app_secret_key"]
    repository.commit("group_vars/lost.yml", _CLEAR + "\n")
    repository.git("reset", "--quiet", "--hard", "HEAD^")
    assert repository.history() == [
        "group_vars/lost.yml:2: app_secret_key",
        "group_vars/side.yml:2: app_secret_key",
    ]
    # Only the merge itself has this content.
    repository.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
    repository.commit("group_vars/merged.yml", "postgres_app_password: zebra\n")
    assert "group_vars/merged.yml:1: postgres_app_password" in repository.history()


def test_the_oldest_commit_is_named(repository: Repository) -> None:
    repository.commit("group_vars/all.yml", _CLEAR)
    head = subprocess.check_output(["git", "-C", str(repository.root), "rev-parse", "HEAD"], text=True)
    repository.git("mv", "group_vars/all.yml", "group_vars/other.yml")
    repository.commit("x", "x")
    (found,) = clear_secrets.in_history(clear_secrets.specified_finder(), repository.root)
    assert found.startswith(head[:12] + ":group_vars/all.yml:2: app_secret_key")


def test_without_history_there_is_nothing_to_find(repository: Repository) -> None:
    assert repository.history() == []
    assert not clear_secrets.has_history(repository.root)


def test_files_that_concern_nobody_are_not_read(tmp_path: Path) -> None:
    for name, seen in (
        ("group_vars/all", True),
        ("inventory/hosts.bak", True),
        ("x.yml", True),
        ("x.yml~", True),
        ("x.py", False),
        ("roles/app/meta/argument_specs.yml", False),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_CLEAR)
        found = clear_secrets.in_files(clear_secrets.specified_finder(), [str(path)])
        assert [row.startswith(f"{path}:2: app_secret_key CLEAR_SECRET") for row in found] == [True] * seen


def _check(tmp_path: Path, *arguments: str, given: str = "password") -> tuple[int, str]:
    (tmp_path / "password").write_text("not the one\n")
    env = {**os.environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / given), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, str(_ROOT / "tools/check_environment.py"), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_an_unknown_environment_is_named_with_those_that_exist(tmp_path: Path) -> None:
    code, output = _check(tmp_path, "producton")
    assert code == 2
    assert "no directory inventories/producton; did you mean production?" in output
    assert "production, single_host" in output
    code, output = _check(tmp_path, "")
    assert code == 2 and "ENV= is missing" in output
    assert _check(tmp_path, "../inventories")[0] == 2


def test_an_encrypted_file_without_its_password_hides_no_other_problem(tmp_path: Path) -> None:
    code, output = _check(tmp_path, "production", "-e", "app_pids=many")
    assert code == 1
    assert "inventories/production/group_vars/all/secrets.yml  VAULT" in output
    assert "app_pids               TYPE" in output and "app_secret_key         REQUIRED" in output
    assert "verify-config production: FAILED" in output


def test_a_password_file_that_does_not_exist_hides_no_other_problem(tmp_path: Path) -> None:
    wrong = str(tmp_path / "nosuch")
    for options, file in (
        (["--vault-password-file", wrong], "password"),
        ([f"--vault-id=x@{wrong}"], "nosuch"),
    ):
        code, output = _check(tmp_path, "production", *options, "-e", "app_pids=many", given=file)
        assert code == 1
        assert "inventories/production/group_vars/all/secrets.yml  VAULT" in output
        assert "app_pids               TYPE" in output


def test_security_check_looks_at_files_and_history(tmp_path: Path) -> None:
    _code, output = _check(tmp_path, "--secrets", "single_host")
    assert "of inventories/single_host, 0 secrets in clear" in output
    assert "security-check single_host: FAILED" in output and "VAULT" in output

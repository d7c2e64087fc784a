# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the inventory of one environment, and contacts none of its hosts: the guide's two commands.

    make verify-config ENV=production      every variable of every host
    make security-check ENV=production     that, and secrets in clear: in its files, and in all that git remembers

Arguments behind the environment's name go to ansible-playbook, for example --vault-password-file.
"""

from __future__ import annotations

import argparse
import difflib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import clear_secrets
from ansible_collections.techsaas.hardened.plugins.plugin_utils.clear_secrets import inventory_files
from ansible_collections.techsaas.hardened.plugins.plugin_utils.specification_files import ROOT

_BIN = Path(sys.executable).parent
_SEALED = "$ANSIBLE_VAULT;"
_PASSWORD_OPTIONS = ("--vault-password-file", "--vault-pass-file", "--vault-id")
_UNREADABLE = """{path}  VAULT
    cannot be decrypted with the vault passwords at hand; below, all variables in it count as missing
    Fix: give the right one: ARGS='--vault-password-file FILE', or ANSIBLE_VAULT_PASSWORD_FILE=FILE"""


def environments() -> list[str]:
    return sorted(path.name for path in (ROOT / "inventories").iterdir() if path.is_dir())


def unknown(name: str) -> str:
    """What to say of a name that is none of ours; empty when it is."""
    known = environments()
    if name in known:
        return ""
    said = f"ENV={name}: there is no directory inventories/{name}" if name else "ENV= is missing"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{said}; {meant}there are: {', '.join(known)}"


def scan(name: str) -> bool:
    """Says which secrets stand in clear; True when none does."""
    finder = clear_secrets.specified_finder()
    inventory = ROOT / "inventories" / name
    files = [str(path.relative_to(ROOT)) for path in inventory_files([str(inventory)])]
    found = clear_secrets.in_files(finder, files)
    print(f"Files: {len(files)} of inventories/{name}, {_count(found)} in clear")
    if clear_secrets.has_history(ROOT):
        past = clear_secrets.in_history(finder, ROOT, name)
        print(f"History: every version that git has, {_count(past)} in clear")
        found += past
        if clear_secrets.is_shallow(ROOT):
            print(
                "History: this clone is shallow, so older versions were not seen; run: git fetch --unshallow"
            )
    else:
        print("History: none, this is no git repository")
    print("\n".join(found), end="\n" if found else "")
    return not found


def _count(found: list[str]) -> str:
    return f"{len(found)} secret{'s' if len(found) != 1 else ''}"


def verify(name: str, arguments: list[str]) -> bool:
    """Runs `validate`; an encrypted file that cannot be read is one problem and hides no other."""
    inventory = ROOT / "inventories" / name
    closed = list(_closed_files(inventory, arguments))
    for path in closed:
        print(_UNREADABLE.format(path=path.relative_to(ROOT)), flush=True)
    if not closed:
        return subprocess.run(_command(inventory, arguments), cwd=ROOT, check=False).returncode == 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        shutil.copytree(inventory, copy, symlinks=True, ignore=_but(closed))
        output = _output(copy, arguments)
        if "TASK [" not in output:
            # Without a password at all Ansible would not even begin; this one opens nothing.
            password = Path(folder) / "password"
            password.write_text(secrets.token_urlsafe(), encoding="utf-8")
            output = _output(copy, _others(arguments), ANSIBLE_VAULT_PASSWORD_FILE=str(password))
    print(output.replace(str(copy), f"inventories/{name}"), end="")
    return False


def _but(closed: list[Path]) -> Callable[[str, list[str]], list[str]]:
    return lambda parent, names: [name for name in names if Path(parent, name) in closed]


def _closed_files(inventory: Path, arguments: list[str]) -> Iterator[Path]:
    passwords = list(_password_arguments(arguments))
    for path in inventory_files([str(inventory)]):
        with path.open("rb") as file:
            sealed = file.read(len(_SEALED)) == _SEALED.encode()
        if sealed:
            command: list[str | Path] = [_BIN / "ansible-vault", "view", *passwords, path]
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, check=False
            )
            if done.returncode != 0:
                yield path


def _password_arguments(arguments: list[str]) -> Iterator[str]:
    for index, argument in enumerate(arguments):
        if argument in _PASSWORD_OPTIONS:
            yield from arguments[index : index + 2]
        elif argument.startswith(tuple(f"{option}=" for option in _PASSWORD_OPTIONS)):
            yield argument


def _others(arguments: list[str]) -> list[str]:
    passwords = list(_password_arguments(arguments))
    return [argument for argument in arguments if argument not in passwords]


def _command(inventory: Path, arguments: list[str]) -> list[str | Path]:
    # -v shows the verdicts on the guide's rules also when they are good.
    playbook = ROOT / "playbooks/validate.yml"
    return [_BIN / "ansible-playbook", "-v", "-i", inventory, playbook, *arguments]


def _output(inventory: Path, arguments: list[str], **environment: str) -> str:
    done = subprocess.run(
        _command(inventory, arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--secrets", action="store_true", help="look for secrets in clear as well")
    parser.add_argument("environment")
    options, arguments = parser.parse_known_args()
    complaint = unknown(options.environment)
    if complaint:
        print(complaint, file=sys.stderr)
        return 2
    os.environ["PATH"] = f"{_BIN}{os.pathsep}{os.environ['PATH']}"
    clean = scan(options.environment) if options.secrets else True
    valid = verify(options.environment, arguments)
    name = "security-check" if options.secrets else "verify-config"
    print(f"{name} {options.environment}: {'passed' if clean and valid else 'FAILED'}")
    return 0 if clean and valid else 1


if __name__ == "__main__":
    sys.exit(main())

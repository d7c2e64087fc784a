# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of ansible-core that the tests are run with: that of .venv, and the one of the other Python, if there is one."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from ansible_collections.techsaas.hardened.tests.security.leaks.controller import Controller
from labkit import paths
from labkit.podman import LabError, run

# The bundles of uv.lock for these have the oldest and the newest core.
OLDEST, NEWEST = (3, 11), (3, 13)
UV = paths.CHECKOUT / ".cache" / "uv" / "bin" / "uv"


def controllers(full: bool) -> list[Controller]:
    """In the short form the one of .venv. LEAKS_CORES=own keeps the full form to that one too."""
    own = Controller(_core(Path(sys.executable)))
    if not full or os.environ.get("LEAKS_CORES") == "own":
        return [own]
    other = _python(OLDEST if sys.version_info >= NEWEST else NEWEST)
    if other is None:
        raise LabError(
            "no Python for the other end of ansible-core's range: name one in LEAKS_PYTHON, or say LEAKS_CORES=own"
        )
    python = _environment(other)
    return [own, Controller(_core(python), str(python))]


def _python(wanted: tuple[int, int]) -> Path | None:
    """The first interpreter that works; pyenv's own programs do not, unless they were chosen for the directory."""
    name = f"python{wanted[0]}.{wanted[1]}"
    installed = (Path.home() / ".pyenv" / "versions").glob(f"{wanted[0]}.{wanted[1]}.*/bin/python")
    for candidate in (
        os.environ.get("LEAKS_PYTHON"),
        f"/usr/bin/{name}",
        f"/usr/local/bin/{name}",
        *map(str, installed),
    ):
        if candidate and Path(candidate).is_file() and not run([candidate, "-c", ""], check=False).returncode:
            return Path(candidate)
    return None


def _environment(python: Path) -> Path:
    """A virtual environment with what uv.lock has for this Python; LEAKS_CORE is another core than that."""
    core = os.environ.get("LEAKS_CORE", "")
    lock = (paths.CHECKOUT / "uv.lock").read_bytes() + core.encode() + str(python).encode()
    target = paths.CHECKOUT / ".cache" / "leaks" / hashlib.sha256(lock).hexdigest()[:12]
    if not (target / ".complete").exists():
        locked = run([str(UV), "export", "--quiet", "--frozen", "--no-hashes", "--only-group", "dev"]).stdout
        target.mkdir(parents=True, exist_ok=True)
        (target / "locked.txt").write_text(locked, encoding="ascii")
        run([str(UV), "venv", "--quiet", "--allow-existing", "--python", str(python), str(target)])
        install = [str(UV), "pip", "install", "--quiet", "--python", str(target / "bin" / "python")]
        run([*install, "--constraint", str(target / "locked.txt"), "ansible", "cryptography"])
        if core:
            run([*install, "--no-deps", f"ansible-core=={core}"])
        (target / ".complete").touch()
    return target / "bin" / "python"


def _core(python: Path) -> str:
    return run(
        [str(python), "-c", "import ansible.release; print(ansible.release.__version__)"]
    ).stdout.strip()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build an image of httpbin behind gunicorn: an application that somebody else wrote, from its packages, without a database.

As the reference API's image is built, whose builder this uses: Debian's Python, locked wheels, the same digest for the same inputs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
_SPEC = importlib.util.spec_from_file_location("reference_build", HERE.parent / "reference_api" / "build.py")
assert _SPEC and _SPEC.loader
base: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(base)

# Files of its workers go to memory, since the container's root is read-only; no control socket for the same reason.
COMMAND = [
    "-m",
    "gunicorn",
    "--bind=0.0.0.0:8000",
    "--worker-tmp-dir=/dev/shm",
    "--no-control-socket",
    "--workers=2",
]
COMMAND += ["--worker-class=gthread", "--threads=8", "--keep-alive=75", "--graceful-timeout=25"]


class Builder(base.Builder):  # type: ignore[misc]
    """The same layers, of other packages."""

    requirements = HERE / "requirements.txt"

    def config(self, version: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
        created = "1970-01-01T00:00:00Z"
        environment = ["PATH=/usr/bin", "HOME=/nonexistent", "LANG=C.UTF-8", f"PYTHONPATH=/{base.SITE}"]
        environment += ["PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "PYTHONSAFEPATH=1"]
        return {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {
                "User": f"{base.USER}:{base.USER}",
                "Env": environment,
                "Entrypoint": [f"/usr/bin/python{base.PYTHON}", *COMMAND],
                "Cmd": [f"{self.package.name}:app"],
                "WorkingDir": "/",
                "ExposedPorts": {"8000/tcp": {}},
                "StopSignal": "SIGTERM",
                "Labels": {
                    "org.opencontainers.image.title": "httpbin",
                    "org.opencontainers.image.version": version,
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
            "history": [{"created": created, "created_by": layer["name"]} for layer in layers],
        }


def main() -> int:
    """Build and say what was built, as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="directory for the OCI layout (replaced)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reference-api-image")
    parser.add_argument("--version", default="1.0.0", help="the image's version")
    parser.add_argument(
        "--package",
        type=Path,
        default=HERE / "src" / "httpbin_service",
        help="package with the application, `app`",
    )
    options = parser.parse_args()
    builder = Builder(options.cache.resolve(), (base.MIRROR, base.SECURITY_MIRROR), options.package.resolve())
    try:
        result = builder.build(options.output.resolve(), options.version, refresh=False)
    except (OSError, subprocess.CalledProcessError, base.BuildError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

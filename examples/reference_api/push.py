#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Push an image's layout to a registry over TLS; print the reference by digest.

skopeo (a Debian package) does the work. The reference is what releases, signatures and pulls name.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Push, and print `registry/repository@digest`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--layout", type=Path, required=True, help="what build.py wrote")
    parser.add_argument("--registry", required=True, help="host:port")
    parser.add_argument("--repository", default="reference-api")
    parser.add_argument("--ca", type=Path, help="the authority of the registry's certificate")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    options = parser.parse_args()
    if bool(options.username) != bool(options.password_file):
        parser.error("--username and --password-file go together")
    password = options.password_file.read_text().rstrip("\n") if options.password_file else ""
    try:
        reference = push(
            options.layout,
            f"{options.registry}/{options.repository}",
            authority=options.ca,
            credentials=(options.username, password) if options.username else None,
        )
    except (OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
        print(f"push.py: {error}", file=sys.stderr)
        return 1
    print(reference)
    return 0


def push(
    layout: Path,
    name: str,
    *,
    authority: Path | None = None,
    credentials: tuple[str, str] | None = None,
) -> str:
    """Copy the layout's image under its version as tag; the digest stays that of the build."""
    (image,) = json.loads(layout.joinpath("index.json").read_text())["manifests"]
    tag = image["annotations"]["org.opencontainers.image.ref.name"]
    with tempfile.TemporaryDirectory(prefix="push-") as scratch:  # 0700
        command = ["skopeo", "copy", "--quiet", "--preserve-digests"]
        if authority:
            Path(scratch, "ca.crt").write_bytes(authority.read_bytes())
            command.append(f"--dest-cert-dir={scratch}")
        environment = dict(os.environ)
        if credentials:
            # In a file, since every user of the machine can read the arguments of a process.
            token = base64.b64encode(":".join(credentials).encode()).decode()
            login = Path(scratch, "auth.json")
            login.write_text(json.dumps({"auths": {name.partition("/")[0]: {"auth": token}}}))
            environment["REGISTRY_AUTH_FILE"] = str(login)
        source, target = f"oci:{layout}:{tag}", f"docker://{name}:{tag.replace('+', '-')}"
        subprocess.run([*command, source, target], check=True, env=environment, stdout=sys.stderr)
    return f"{name}@{image['digest']}"


def sign_command(reference: str, key: str, authority: str | None = None) -> list[str]:
    """What signs a pushed image, for a host that has cosign (Debian 13). COSIGN_PASSWORD opens the key.

    Nothing is sent to a public log: the key is the environment's own, and so is the proof.
    """
    trust = [f"--registry-cacert={authority}"] if authority else []
    return ["cosign", "sign", "--yes", "--tlog-upload=false", f"--key={key}", *trust, reference]


if __name__ == "__main__":
    sys.exit(main())

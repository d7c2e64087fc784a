#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the reference API's image without a registry and without a container engine.

Debian packages (resolved and verified by mmdebstrap) and locked wheels become an OCI image layout of three
layers: system, dependencies, application. The same inputs give the same digest. Only the standard library
is used; the programs needed are mmdebstrap, dpkg-deb, and uv or pip.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "src" / "reference_api"
REQUIREMENTS = HERE / "requirements.txt"

MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
SUITE = "trixie"
PYTHON = "3.13"
INCLUDE = ("ca-certificates", f"libpython{PYTHON}-stdlib", "libstdc++6", f"python{PYTHON}-minimal", "tzdata")
# Dependencies that the API has no use for: what is not in the image cannot be attacked.
LEAVE_OUT = re.compile(
    r"debconf|gcc-14-base|libdb5|libncurses|libreadline|libsqlite3|libtinfo|media-types|openssl|readline-common"
)
LEAVE_OUT_FILES = re.compile(
    r"usr/(?:sbin|games|share/(?!ca-certificates/|zoneinfo/|doc/[^/]+/copyright$))"
    r"|usr/bin/(?!python)"
    r"|usr/lib/x86_64-linux-gnu/(?:gconv|engines-3|perl)"
    r"|usr/lib/(?:apt|dpkg|systemd|init|binfmt\.d|tmpfiles\.d|sysctl\.d)/"
    rf"|usr/lib/python{re.escape(PYTHON)}/(?:test|idlelib|tkinter|turtledemo|ensurepip|venv|pydoc_data|_pyrepl"
    r"|curses|sqlite3|dbm|lib2to3|turtle\.py|pydoc\.py|sitecustomize\.py"
    r"|lib-dynload/(?:_test|_ctypes_test|_xxtest|_curses|_dbm|_sqlite3|readline|_tkinter|xx))"
    r"|(?:etc/(?:apt|dpkg|init\.d|cron\.|default|ca-certificates|python)|dev|proc|run|sys|tmp|var)/"
)
# What uv and pip write about themselves differs, and says nothing about the image.
INSTALLER_TRACES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_*.json", ".lock")
NOT_FOR_RUNNING = ("*.pyx", "*.pyi", "*.pxd", "*.c", "*.cpp", "*.h")
SITE = f"usr/lib/python{PYTHON}/site-packages"  # not on Debian's path by itself: PYTHONPATH names it
USER = 1000
PASSWD = f"root:x:0:0:root:/nonexistent:/nonexistent\napi:x:{USER}:{USER}:api:/nonexistent:/nonexistent\n"
GROUP = f"root:x:0:\napi:x:{USER}:\n"

Entry = tuple[tarfile.TarInfo, bytes]


def main() -> int:
    """Build and say what was built, as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="directory for the OCI layout (replaced)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "reference-api-image")
    parser.add_argument("--version", default="1.0.0", help="the image's version")
    parser.add_argument("--package", type=Path, default=PACKAGE, help="package in place of the API's own")
    parser.add_argument("--mirror", default=MIRROR, help="Debian mirror")
    parser.add_argument("--security-mirror", default=SECURITY_MIRROR, help="Debian security mirror")
    parser.add_argument(
        "--refresh", action="store_true", help="take current Debian packages, not the cache's"
    )
    options = parser.parse_args()
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}", options.version):
        parser.error("--version: use letters, digits, dots, + and -")
    mirrors = (options.mirror, options.security_mirror)
    builder = Builder(options.cache.resolve(), mirrors, options.package.resolve())
    try:
        result = builder.build(options.output.resolve(), options.version, refresh=options.refresh)
    except (OSError, subprocess.CalledProcessError, BuildError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


class BuildError(Exception):
    """Something the build needs is not there, or not as expected."""


class Builder:
    """Makes layers, each kept in the cache under a key of all that went into it."""

    requirements = REQUIREMENTS

    def __init__(self, cache: Path, mirrors: tuple[str, str], package: Path = PACKAGE) -> None:
        self.cache = cache
        self.package = package
        self.mirrors = mirrors
        self.cache.mkdir(parents=True, exist_ok=True)
        self.epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
        self.recipe = _digest(Path(__file__).read_bytes(), str(self.epoch).encode())

    def build(self, output: Path, version: str, *, refresh: bool) -> dict[str, Any]:
        """Write the OCI layout."""
        with self.cache.joinpath("lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two builds may share the cache
            layers = self.layers(refresh=refresh)
            digest = write_layout(output, self.config(version, layers), layers, version)
        return {
            "digest": digest,
            "layout": str(output),
            "version": version,
            "unpacked_bytes": sum(layer["unpacked"] for layer in layers),
            "packed_bytes": sum(layer["size"] for layer in layers),
        }

    def layers(self, *, refresh: bool) -> list[dict[str, Any]]:
        """The image's layers, from the one that changes least."""
        packages = self.packages(refresh=refresh)
        system_key = _digest(self.recipe, *(package.name for package in packages))
        root = self.tree("system", system_key, lambda into: self.system(packages, into))
        requirements = _digest(system_key, self.requirements.read_bytes())
        libraries = self.tree("dependencies", requirements, lambda into: self.dependencies(root, into))
        sources = [path for path in sorted(self.package.rglob("*.py")) if path.is_file()]
        application_key = _digest(
            requirements,
            self.package.name,
            *(part for path in sources for part in _named(path, self.package)),
        )
        application = self.tree("application", application_key, lambda into: self.application(root, into))
        return [self.layer(tree) for tree in (root, libraries, application)]

    def packages(self, *, refresh: bool) -> list[Path]:
        """Debian packages, as files: from the cache unless they are not there or are to be renewed."""
        key = _digest(SUITE, *INCLUDE, *self.mirrors)[:16]
        kept = self.cache / f"packages-{key}"
        if refresh or not kept.is_dir():
            with _place(kept) as into, tempfile.TemporaryDirectory(dir=self.cache) as scratch:
                archive = Path(scratch, "root.tar")
                _run(
                    *("mmdebstrap", "--quiet", "--variant=extract", "--architectures=amd64"),
                    *("--skip=cleanup/apt", f"--include={','.join(INCLUDE)}", SUITE, str(archive)),
                    f"deb {self.mirrors[0]} {SUITE} main",
                    f"deb {self.mirrors[0]} {SUITE}-updates main",
                    f"deb {self.mirrors[1]} {SUITE}-security main",
                )
                with tarfile.open(archive) as tar:
                    for member in tar:
                        if member.isfile() and member.name.endswith(".deb"):
                            into.joinpath(Path(member.name).name).write_bytes(_content(tar, member))
        packages = [path for path in sorted(kept.glob("*.deb")) if not LEAVE_OUT.match(path.name)]
        if not packages:
            raise BuildError(f"no Debian packages in {kept}: try --refresh")
        return packages

    def system(self, packages: Sequence[Path], into: Path) -> None:
        """Unpack what the API needs of Debian, and no more."""
        for package in packages:
            archive = _output("dpkg-deb", "--fsys-tarfile", str(package))
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                for member in tar:
                    name = member.name.removeprefix("./").rstrip("/")
                    if not member.isdir() and not LEAVE_OUT_FILES.match(name):
                        _unpack(tar, member, into / name)
            # Scanners learn from these files, as in other images without dpkg, what is installed.
            control = _output("dpkg-deb", "--field", str(package))
            _write(into / "var/lib/dpkg/status.d" / package.name.split("_")[0], control)
        for name, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
            into.joinpath(name).symlink_to(target)
        for name in ("dev", "proc", "run", "sys", "tmp", "usr/lib64", SITE):
            into.joinpath(name).mkdir(parents=True, exist_ok=True)
        authorities = sorted(into.glob("usr/share/ca-certificates/mozilla/*.crt"))
        bundle = b"".join(path.read_bytes().rstrip() + b"\n" for path in authorities)
        shutil.rmtree(into / "usr/share/ca-certificates")
        _write(into / "etc/ssl/certs/ca-certificates.crt", bundle)
        _write(into / "etc/passwd", PASSWD.encode())
        _write(into / "etc/group", GROUP.encode())
        _write(into / "etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
        _compile(into, into / f"usr/lib/python{PYTHON}", into)

    def dependencies(self, root: Path, into: Path) -> None:
        """Install the locked wheels, as for the image's Python and not for the one running this."""
        site = into / SITE
        site.mkdir(parents=True)
        _run(*_installer(), "--target", str(site), "--requirement", str(self.requirements), cwd=HERE)
        shutil.rmtree(site / "bin", ignore_errors=True)
        for pattern in INSTALLER_TRACES + NOT_FOR_RUNNING:
            for path in site.rglob(pattern):
                path.unlink()
        for path in sorted(site.glob("**/tests")):
            shutil.rmtree(path)
        for path in site.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        _compile(root, site, into)

    def application(self, root: Path, into: Path) -> None:
        """Add the API itself."""
        site = into / SITE
        shutil.copytree(self.package, site / self.package.name, ignore=shutil.ignore_patterns("__pycache__"))
        _compile(root, site / self.package.name, into)

    def config(self, version: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
        """How the image is run."""
        created = _timestamp(self.epoch)
        return {
            "architecture": "amd64",
            "os": "linux",
            "created": created,
            "config": {
                "User": f"{USER}:{USER}",
                "Env": [
                    "PATH=/usr/bin",
                    "HOME=/nonexistent",
                    "LANG=C.UTF-8",
                    f"PYTHONPATH=/{SITE}",
                    "PYTHONDONTWRITEBYTECODE=1",
                    "PYTHONUNBUFFERED=1",
                    "PYTHONSAFEPATH=1",
                    "PYTHONNOUSERSITE=1",
                    f"IMAGE_VERSION={version}",
                ],
                "Entrypoint": [f"/usr/bin/python{PYTHON}", "-m", "reference_api"],
                "Cmd": ["serve"],
                "WorkingDir": "/",
                "ExposedPorts": {"8000/tcp": {}},
                "StopSignal": "SIGTERM",
                "Healthcheck": {
                    "Test": ["CMD", f"/usr/bin/python{PYTHON}", "-m", "reference_api", "healthcheck"],
                    "Interval": 30_000_000_000,
                    "Timeout": 5_000_000_000,
                    "StartPeriod": 15_000_000_000,
                    "Retries": 3,
                },
                "Labels": labels(version, self.package),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
            "history": [{"created": created, "created_by": layer["name"]} for layer in layers],
        }

    def tree(self, name: str, key: str, make: Callable[[Path], None]) -> Path:
        """A directory in the cache, made once."""
        kept = self.cache / f"{name}-{key[:16]}"
        if not kept.is_dir():
            with _place(kept) as into:
                make(into)
        return kept

    def layer(self, tree: Path) -> dict[str, Any]:
        """A tree packed as a layer, made once."""
        packed, facts = tree.with_name(f"{tree.name}.tar.gz"), tree.with_name(f"{tree.name}.json")
        if not facts.is_file():
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
                for info, content in _entries(tree, self.epoch):
                    tar.addfile(info, io.BytesIO(content))
            data = gzip.compress(archive.getvalue(), 6, mtime=0)
            packed.write_bytes(data)
            description: dict[str, Any] = {
                "name": tree.name.rpartition("-")[0],
                "file": str(packed),
                "size": len(data),
                "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
                "diff_id": f"sha256:{hashlib.sha256(archive.getvalue()).hexdigest()}",
                "unpacked": sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()),
            }
            facts.write_text(json.dumps(description))
        loaded: dict[str, Any] = json.loads(facts.read_text())
        return loaded | {"file": str(packed)}


def labels(version: str, package: Path) -> dict[str, str]:
    """What tools can know of an image without running it."""
    schema = (package / "schema.py").read_text()
    head = re.search(r'^HEAD = "(\d{4})"$', schema, re.MULTILINE)
    if not head:
        raise BuildError("schema.py names no HEAD")
    (migration,) = package.glob(f"migrations/versions/{head[1]}_*.py")
    oldest = re.search(r'^oldest_compatible = "(\d{4})"$', migration.read_text(), re.MULTILINE)
    if not oldest:
        raise BuildError(f"{migration.name} names no oldest_compatible")
    return {
        "org.opencontainers.image.title": "reference-api",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "GPL-3.0-or-later",
        "org.opencontainers.image.base.name": f"debian:{SUITE}",
        "techsaas.hardened.schema.head": head[1],
        "techsaas.hardened.schema.oldest-compatible": oldest[1],
    }


def write_layout(output: Path, config: dict[str, Any], layers: list[dict[str, Any]], version: str) -> str:
    """Write the OCI layout directory; return the digest of the image's manifest."""
    with _place(output) as into:
        blobs = into / "blobs" / "sha256"
        blobs.mkdir(parents=True)

        def blob(data: bytes) -> dict[str, Any]:
            name = hashlib.sha256(data).hexdigest()
            blobs.joinpath(name).write_bytes(data)
            return {"digest": f"sha256:{name}", "size": len(data)}

        for layer in layers:
            shutil.copyfile(layer["file"], blobs / layer["digest"].removeprefix("sha256:"))
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json"} | blob(_json(config)),
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": layer["digest"],
                    "size": layer["size"],
                }
                for layer in layers
            ],
        }
        described = {"mediaType": manifest["mediaType"]} | blob(_json(manifest))
        described |= {"annotations": {"org.opencontainers.image.ref.name": version}}
        into.joinpath("oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        into.joinpath("index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [described]}))
    return str(described["digest"])


class _place:  # noqa: N801 (used like a function)
    """A directory that appears whole or not at all, so that a killed build leaves nothing half made."""

    def __init__(self, final: Path) -> None:
        self.final = final

    def __enter__(self) -> Path:
        self.final.parent.mkdir(parents=True, exist_ok=True)
        self.made = Path(tempfile.mkdtemp(prefix=f".{self.final.name}.", dir=self.final.parent))
        self.made.chmod(0o755)
        return self.made

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            shutil.rmtree(self.final, ignore_errors=True)
            self.made.rename(self.final)
        else:
            shutil.rmtree(self.made, ignore_errors=True)


def _installer() -> list[str]:
    """uv or pip, told to install for the image: its Python, its libc, wheels only, hashes checked."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        platform = ["--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_28"]
        checks = ["--only-binary", ":all:", "--require-hashes", "--no-deps", "--link-mode", "copy"]
        return [uv, "pip", "install", "--quiet", "--no-config", *platform, *checks]
    if importlib.util.find_spec("pip") is None:
        raise BuildError("neither uv nor pip was found: install one of them")
    tags = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
    tags += ["--platform=manylinux2014_x86_64", f"--python-version={PYTHON}", "--implementation=cp"]
    tags += [f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"]
    checks = ["--only-binary=:all:", "--require-hashes", "--no-deps", "--no-compile"]
    return [sys.executable, "-m", "pip", "install", "--quiet", *tags, *checks]


def _compile(root: Path, directory: Path, base: Path) -> None:
    """Write bytecode with the image's own Python: its root is read-only, so it could never keep any.

    The program is started through the image's own loader, so that no privilege is needed and the C library
    of the building machine does not matter. One process and no hash randomisation make the result the same.
    """
    libraries = root / "usr/lib/x86_64-linux-gnu"
    _run(
        *(str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)),
        *(str(root / f"usr/bin/python{PYTHON}"), "-B", "-S", "-m", "compileall", "-f", "-q"),
        *("--invalidation-mode", "unchecked-hash", "-s", str(base), "-p", "/", str(directory)),
        environment={"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"},
    )


def _entries(tree: Path, epoch: int) -> Iterator[Entry]:
    """The tree's files in a fixed order, owned by root, with nothing in them that depends on the machine."""
    for path in sorted(tree.rglob("*"), key=lambda path: path.relative_to(tree).as_posix()):
        info = tarfile.TarInfo(path.relative_to(tree).as_posix())
        info.mtime = epoch
        info.uname = info.gname = ""
        content = b""
        if path.is_symlink():
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, os.readlink(path), 0o777
        elif path.is_dir():
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if info.name == "tmp" else 0o755
        else:
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
        yield info, content


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        path.symlink_to(member.linkname)
    elif member.isfile() or member.islnk():
        path.write_bytes(_content(tar, member))
        path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)  # follows hard links
    if source is None:
        raise BuildError(f"{member.name} is not a file")
    return source.read()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _run(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise BuildError(f"{command[0]} was not found: install its Debian package")
    subprocess.run(command, check=True, cwd=cwd, env=os.environ | (environment or {}), stdout=sys.stderr)


def _output(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def _named(path: Path, directory: Path) -> tuple[str, bytes]:
    return str(path.relative_to(directory)), path.read_bytes()


def _digest(*parts: str | bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _timestamp(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""The image: what is in it, that it comes out the same each time, and that it runs locked down."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import SECRETS, Cluster, Syslog, free_port, new_environment, wait_for

PROJECT = Path(__file__).parents[1]
CACHE = Path.home() / ".cache" / "reference-api-image"
NEEDED = [program for program in ("mmdebstrap", "dpkg-deb", "podman", "skopeo") if not shutil.which(program)]
LIMIT = 150 * 1000 * 1000
PYTHON = "/usr/bin/python3.13"

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(bool(NEEDED), reason=f"not installed: {', '.join(NEEDED)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers are run by root here"),
]


def build(output: Path, *options: str, cache: Path = CACHE) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, str(PROJECT / "build.py"), f"--output={output}", f"--cache={cache}", *options],
        stdout=subprocess.PIPE,
        check=True,
    )
    built: dict[str, Any] = json.loads(result.stdout)
    return built


def blob(layout: Path, digest: str) -> Path:
    path = layout / "blobs" / digest.replace(":", "/")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    return path


def manifest(layout: Path) -> dict[str, Any]:
    (described,) = json.loads(layout.joinpath("index.json").read_text())["manifests"]
    read: dict[str, Any] = json.loads(blob(layout, described["digest"]).read_text())
    return read


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("image") / "layout"
    build(output)
    return output


@pytest.fixture(scope="module")
def members(layout: Path) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for layer in manifest(layout)["layers"]:
        with tarfile.open(blob(layout, layer["digest"])) as tar:
            found |= {member.name: member for member in tar}
    return found


def test_the_same_inputs_give_the_same_image(layout: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for packages in CACHE.glob("packages-*"):  # the inputs: Debian's packages; all else is made anew
        shutil.copytree(packages, cache / packages.name)
    again = build(tmp_path / "again", cache=cache)
    (described,) = json.loads(layout.joinpath("index.json").read_text())["manifests"]
    assert again["digest"] == described["digest"]


def test_another_version_is_another_image_of_the_same_layers(layout: Path, tmp_path: Path) -> None:
    first, other = manifest(layout), tmp_path / "other"
    build(other, "--version=1.1.0")
    second = manifest(other)
    assert first["layers"] == second["layers"]
    assert first["config"]["digest"] != second["config"]["digest"]
    config = json.loads(blob(other, second["config"]["digest"]).read_text())["config"]
    assert config["Labels"]["org.opencontainers.image.version"] == "1.1.0"
    assert "IMAGE_VERSION=1.1.0" in config["Env"]


def test_its_configuration_is_that_of_a_locked_down_service(layout: Path) -> None:
    config = json.loads(blob(layout, manifest(layout)["config"]["digest"]).read_text())
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["User"] == "1000:1000"
    assert config["config"]["Entrypoint"] == [PYTHON, "-m", "reference_api"]
    assert config["config"]["Healthcheck"]["Test"][0] == "CMD"  # not CMD-SHELL: there is none
    assert config["config"]["Labels"]["techsaas.hardened.schema.head"] == "0003"
    inspected = subprocess.run(
        ["skopeo", "inspect", f"oci:{layout}:1.0.0"], capture_output=True, check=True, text=True
    )
    assert json.loads(inspected.stdout)["Layers"] == [layer["digest"] for layer in manifest(layout)["layers"]]


def test_there_is_nothing_in_it_to_work_with(members: dict[str, tarfile.TarInfo]) -> None:
    programs = {Path(name).name for name in members if name.startswith(("usr/bin/", "usr/sbin/", "sbin/"))}
    assert programs == {"python3.13"}
    words = {"sh", "bash", "dash", "busybox", "apt", "dpkg", "perl", "pip", "curl", "wget", "openssl"}
    assert not [name for name in members if Path(name).name in words and members[name].isfile()]
    assert not [name for name in members if "site-packages/pip" in name or "ensurepip" in name]


def test_its_files_belong_to_root_and_are_written_by_nobody(members: dict[str, tarfile.TarInfo]) -> None:
    for name, member in members.items():
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0), name
        assert not member.mode & 0o6000, name
        assert name == "tmp" or member.issym() or not member.mode & 0o022, name
    assert sum(member.size for member in members.values()) < LIMIT


def test_the_locked_requirements_are_those_of_the_lock() -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not installed")
    exported = subprocess.run(
        [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--quiet"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kept = PROJECT.joinpath("requirements.txt").read_text().splitlines()
    assert [line for line in kept if not line.startswith("#")] == exported.splitlines()


def podman(*arguments: str) -> str:
    return subprocess.run(
        ["podman", *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def run(image: str, *command: str, options: tuple[str, ...] = (), entrypoint: str = "") -> list[str]:
    """A container as the collection runs it; the limits suit a machine without CAP_SYS_RESOURCE too."""
    runtime = ["--runtime", "runc"] if shutil.which("runc") else []
    return [
        *("podman", *runtime, "run", "--read-only", "--cap-drop=all", "--user=1000:1000"),
        *("--security-opt=no-new-privileges", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,noexec,nosuid"),
        *("--ulimit=nofile=20000:20000", "--ulimit=nproc=32768:32768", "--network=host", "--rm"),
        *((f"--entrypoint={entrypoint}",) if entrypoint else ()),
        *options,
        image,
        *command,
    ]


@pytest.fixture(scope="module")
def image(layout: Path) -> Iterator[str]:
    name = podman("pull", "--quiet", f"oci:{layout}:1.0.0")
    yield name
    subprocess.run(["podman", "rmi", "--force", name], check=False, stdout=subprocess.DEVNULL)


def test_it_serves_read_only_without_privileges(image: str, cluster: Cluster, syslog: Syslog) -> None:
    syslog.path.parent.chmod(0o755)
    syslog.path.chmod(0o666)
    port, name = free_port(), f"reference-api-test-{os.getpid()}"
    with new_environment(cluster) as environment:
        environment["SYSLOG_ADDRESS"] = str(syslog.path)
        del environment["IMAGE_VERSION"]
        variables = tuple(f"--env={variable}={value}" for variable, value in environment.items())
        mounts = tuple(f"--volume={path}:{path}:ro" for path in (cluster.directory, syslog.path.parent))
        migrated = subprocess.run(
            run(image, "migrate", options=variables + mounts), check=True, stdout=subprocess.PIPE
        )
        assert json.loads(migrated.stdout) == {"changed": True, "from": None, "to": "0003"}
        options = (*variables, *mounts, f"--name={name}")
        process = subprocess.Popen(
            run(image, "serve", "--host=127.0.0.1", f"--port={port}", options=options), stderr=subprocess.PIPE
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as http:
                wait_for(lambda: _ready(http), "the container to be ready", 30)
                assert http.get("/version").json()["image_version"] == "1.0.0"
                headers = {"X-Admin-Key": SECRETS["ADMIN_API_KEY"]}
                key = http.post("/admin/keys", json={"client": "acme"}, headers=headers).json()["key"]
                created = http.post("/v1/items", json={"name": "x"}, headers={"X-API-Key": key})
                assert created.status_code == 201
            syslog.find("key_used", request_id=created.headers["x-request-id"])
            pid = podman("inspect", "--format={{.State.Pid}}", name)
            status = dict(
                line.split(":", 1) for line in Path("/proc", pid, "status").read_text().splitlines()
            )
            assert status["Uid"].split() == ["1000"] * 4
            assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
            assert podman("exec", name, PYTHON, "-m", "reference_api", "healthcheck", f"--port={port}") == ""
            assert podman("stop", "--time=20", name)
            assert process.wait(25) == 0
        finally:
            subprocess.run(
                ["podman", "rm", "--force", "--ignore", name], check=False, stdout=subprocess.DEVNULL
            )
            process.wait(25)


def test_it_has_no_shell_and_compiles_nothing(image: str) -> None:
    shell = subprocess.run(run(image, "-c", "true", entrypoint="/bin/sh"), check=False, capture_output=True)
    assert shell.returncode in (126, 127)
    loading = (
        "import reference_api.app, reference_api.schema, uvicorn, zoneinfo; zoneinfo.ZoneInfo('Asia/Tokyo')"
    )
    verbose = subprocess.run(
        run(image, "-v", "-c", loading, entrypoint=PYTHON), check=True, capture_output=True, text=True
    )
    compiled = [
        line for line in verbose.stderr.splitlines() if line.endswith(".py") and "code object" in line
    ]
    assert compiled == []


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_is_pushed_by_digest_over_tls(layout: Path, cluster: Cluster, tmp_path: Path) -> None:
    registry = shutil.which("docker-registry")
    if registry is None:
        pytest.skip("docker-registry is not installed; the lab pushes to one")
    port, authority = free_port(), cluster.directory / "server.crt"
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "storage")}},
        "http": {
            "addr": f"127.0.0.1:{port}",
            "tls": {"certificate": str(authority), "key": str(cluster.directory / "server.key")},
        },
    }
    tmp_path.joinpath("config.yml").write_text(json.dumps(config))  # JSON is YAML
    process = subprocess.Popen(
        [registry, "serve", str(tmp_path / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        tls = ssl.create_default_context(cafile=str(authority))
        with httpx.Client(base_url=f"https://localhost:{port}", verify=tls) as http:
            wait_for(lambda: _answers(http), "the registry")
            pushed = subprocess.run(
                [
                    *(sys.executable, str(PROJECT / "push.py"), f"--layout={layout}"),
                    *(f"--registry=localhost:{port}", f"--ca={authority}"),
                ],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout.strip()
            (described,) = json.loads(layout.joinpath("index.json").read_text())["manifests"]
            assert pushed == f"localhost:{port}/reference-api@{described['digest']}"
            accept = {"Accept": described["mediaType"]}
            kept = http.get(f"/v2/reference-api/manifests/{described['digest']}", headers=accept)
            assert kept.content == blob(layout, described["digest"]).read_bytes()
    finally:
        process.terminate()
        process.wait(10)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v2/").status_code == 200
    except httpx.TransportError:
        return False

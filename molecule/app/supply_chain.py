# SPDX-License-Identifier: GPL-3.0-or-later
"""Side effects, after the faults: images that must not run, by whoever may push to the registry. Signatures are cosign's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from labkit import paths, registry
from labkit.client import Client
from labkit.plays import changes, converge, eventually, play, refused
from labkit.podman import podman, run

CONVERGE = "../molecule/app/converge.yml"
ROLLBACK = "../molecule/app/rollback.yml"
STORE = "/var/lib/docker-registry/docker/registry/v2"
REPOSITORY = f"{registry.HOST}:{registry.PORT}/reference-api"
PASSWORD = "vB7nQ2xLw9Kd4Rz8Tp3Ms6Yh"  # pragma: allowlist secret


@dataclass(frozen=True)
class Registry:
    client: Client

    def run(self, script: str, *arguments: str) -> str:
        return self.client.on(registry.HOST, "sh", "-ec", script, "sh", *arguments)

    def push(self, version: str, signed: bool = True) -> str:
        return registry.push(self.client.fleet, self.client.addresses[registry.HOST], version, signed)

    def copy(self, old: str, new: str) -> None:
        """Give what `old` (a tag, or @digest) names another tag, as whoever may push can."""
        place = f"docker://{self.client.addresses[registry.HOST]}:{registry.PORT}/reference-api"
        authority = paths.STATE / self.client.fleet.name / "registry"
        with_ca = [f"--src-cert-dir={authority}", f"--dest-cert-dir={authority}"]
        old = old if old.startswith("@") else f":{old}"
        run(["skopeo", "copy", "--quiet", "--preserve-digests", *with_ca, place + old, f"{place}:{new}"])

    def cosign(self, *arguments: str, key: str = "cosign") -> str:
        """By the lab's own key, or another that is made for it."""
        prepare = (
            f'cd /root; test -e {key}.key || COSIGN_PASSWORD="$(cat cosign-password.key)" cosign generate-key-pair'
            f" --output-key-prefix {key};"
        )
        signing = f'COSIGN_PASSWORD="$(cat cosign-password.key)" exec cosign "$@" --yes --tlog-upload=false --key {key}.key'
        self.run(prepare + signing, *arguments)
        return self.run(f"cat /root/{key}.pub")


@pytest.fixture(scope="module")
def store(client: Client) -> Registry:
    return Registry(client)


@pytest.fixture(scope="module")
def unsigned(store: Registry) -> str:
    return store.push("1.0.9", signed=False)


@pytest.fixture
def untouched(client: Client, hosts: list[Any]) -> Iterator[None]:
    """What serves is what served, nothing was fetched, and there is nothing to do."""
    before, images = states(hosts), [sorted(_digests(host)) for host in hosts]
    yield
    assert states(hosts) == before
    assert [sorted(_digests(host)) for host in hosts] == images
    assert changes(converge(client)) == {0}


def states(hosts: list[Any]) -> list[dict[str, str]]:
    return [host.state() for host in hosts]


def refusal(client: Client, *arguments: str) -> str:
    said = refused(client, CONVERGE, *(part for each in arguments for part in ("-e", each)))
    return " ".join(re.sub(r"[│\n]", " ", said).split())


@pytest.mark.usefixtures("untouched")
def test_an_image_that_nobody_signed(client: Client, unsigned: str) -> None:
    said = refusal(client, f"image={unsigned}")
    assert "IMAGE_UNSIGNED" in said
    assert "has no signature. Fix: sign" in said


@pytest.mark.usefixtures("untouched")
def test_a_tag_is_what_it_stands_for_now(client: Client, store: Registry, unsigned: str) -> None:
    store.copy("1.0.0", "stable")
    # The same image by another name is no release.
    assert changes(converge(client, "-e", f"image={REPOSITORY}:stable")) == {0}
    store.copy("@" + unsigned.partition("@")[2], "stable")
    assert "IMAGE_UNSIGNED" in refusal(client, f"image={REPOSITORY}:stable")


@pytest.mark.usefixtures("untouched")
def test_the_signature_of_another_image(
    client: Client, store: Registry, unsigned: str, hosts: list[Any]
) -> None:
    good, bad = (
        digest.partition("@")[2].replace(":", "-") for digest in (hosts[0].record()["image"], unsigned)
    )
    store.copy(f"{good}.sig", f"{bad}.sig")
    said = refusal(client, f"image={unsigned}")
    assert "IMAGE_UNSIGNED" in said
    assert "by others, or of another image" in said


@pytest.mark.usefixtures("untouched")
def test_a_stranger_s_signature(client: Client, store: Registry, unsigned: str, tmp_path: Path) -> None:
    key = store.cosign("sign", unsigned, key="stranger")
    assert "by others, or of another image" in refusal(client, f"image={unsigned}")
    # It is the key that decides: whoever trusts the stranger may run it.
    trusting = tmp_path / "trusting.json"
    trusting.write_text(json.dumps({"app_image_signature_keys": [key]}), encoding="utf-8")
    planned = converge(client, "--check", "-e", f"image={unsigned}", "-e", f"@{trusting}")
    assert changes(planned) != {0}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("form", [(), ("--new-bundle-format",)], ids=["tag", "bundle"])
def test_what_has_to_be_attested(
    client: Client, store: Registry, hosts: list[Any], tmp_path: Path, form: tuple[str, ...]
) -> None:
    kind = "https://example.com/reviewed" + ("/bundle" if form else "")
    wanted = tmp_path / "wanted.json"
    wanted.write_text(json.dumps({"app_image_attestations": [kind]}), encoding="utf-8")
    assert f"attests {kind}" in refusal(client, f"@{wanted}")
    store.run("echo '{}' > /root/predicate.json")
    attest = (
        "attest",
        "--predicate",
        "/root/predicate.json",
        "--type",
        kind,
        *form,
        hosts[0].record()["image"],
    )
    store.cosign(*attest, key="stranger")
    assert f"attests {kind}" in refusal(client, f"@{wanted}")
    store.cosign(*attest)
    assert changes(converge(client, "-e", f"@{wanted}")) == {0}


def test_a_waiver_lets_it_run_for_a_while(
    client: Client, hosts: list[Any], unsigned: str, tmp_path: Path
) -> None:
    waiver = tmp_path / "waiver.json"
    waiver.write_text(
        json.dumps({"app_image_signature_waiver": {"until": "2020-01-01", "reason": "the key is being made"}})
    )
    assert "IMAGE_UNSIGNED" in refusal(client, f"image={unsigned}", f"@{waiver}")
    waiver.write_text(waiver.read_text().replace("2020", "2999"))
    converge(client, "-e", "release=waived", "-e", f"image={unsigned}", "-e", f"@{waiver}")
    for host in hosts:
        assert host.record()["image"] == unsigned
        assert host.get(host.slot).startswith("200 ")
    assert play(client, ROLLBACK).returncode == 0
    assert changes(converge(client)) == {0}


def test_one_byte_of_a_signed_image(client: Client, store: Registry, hosts: list[Any]) -> None:
    """Changed where the registry keeps it: the host that fetches it notices, and goes on serving what it has."""
    image = store.push("1.0.8")
    before = states(hosts)
    manifest = store.run(
        f'd=${{1#*@sha256:}}; cat "{STORE}/blobs/sha256/$(echo "$d" | cut -c1-2)/$d/data"', image
    )
    # Of what this version alone has; the layers of another one a host may have already.
    part = json.loads(manifest)["config"]["digest"].partition(":")[2]
    data = f"{STORE}/blobs/sha256/{part[:2]}/{part}/data"
    flip = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(200); b = f.read(1); f.seek(200); f.write(bytes([b[0] ^ 1]))"
    store.run(f'cp -p {data} /root/part; python3 -c "$1" {data}', flip)
    try:
        said = refusal(client, f"image={image}")
    finally:
        store.run(f"cp -p /root/part {data}")
    assert "cannot be fetched" in said
    assert "goes on running" in said
    assert states(hosts) == before
    assert changes(converge(client)) == {0}


@pytest.mark.usefixtures("untouched")
def test_a_registry_that_is_down(client: Client, store: Registry, unsigned: str) -> None:
    store.run("systemctl stop docker-registry")
    try:
        assert "REGISTRY_UNREACHABLE" in refusal(client, f"image={unsigned}")
    finally:
        store.run("systemctl start docker-registry")
        _wait_for(store)


def _wait_for(store: Registry) -> None:
    asking = (
        f"openssl s_client -connect 127.0.0.1:{registry.PORT} </dev/null >/dev/null 2>&1 && echo up || true"
    )
    eventually(lambda: "up" in store.run(asking))


def test_a_registry_that_wants_a_password(
    client: Client, store: Registry, hosts: list[Any], tmp_path: Path
) -> None:
    image = store.push("1.0.7")
    config = "/etc/docker/registry/config.yml"
    store.run(
        f"cp -p {config} /root/config.yml;"
        f' perl -e \'print "reader:", crypt($ARGV[0], "\\$2y\\$05\\$abcdefghijklmnopqrstuu"), "\\n"\' "$1" > /etc/docker/registry/users;'
        f" printf 'auth: {{htpasswd: {{realm: lab, path: /etc/docker/registry/users}}}}\\n' >> {config};"
        " systemctl restart docker-registry",
        PASSWORD,
    )
    _wait_for(store)
    try:
        generated = yaml.safe_load((client.inventory / "generated.yml").read_text(encoding="utf-8"))
        variables = generated["all"]["vars"]["container_runtime_registries"][0]
        known = tmp_path / "known.json"
        known.write_text(
            json.dumps(
                {"container_runtime_registries": [{**variables, "username": "reader", "password": PASSWORD}]}
            )
        )
        assert "DENIED" in refusal(client, f"image={image}")
        done = converge(client, "-e", "release=fetched", "-e", f"image={image}", "-e", f"@{known}")
        assert PASSWORD not in done.stdout + done.stderr
    finally:
        store.run(f"cp -p /root/config.yml {config}; systemctl restart docker-registry")
        _wait_for(store)
    for host in hosts:
        assert host.record()["image"] == image
        kept = 'grep -rlsF -e "$1" /etc /root /home /var/lib/hardened /var/lib/docker/*/containers /var/log /run/log || true'
        assert host.run("sh", "-c", kept, "sh", PASSWORD) == ""
        assert PASSWORD not in host.run("journalctl", "--no-pager", "--quiet", "--all")
    assert play(client, ROLLBACK).returncode == 0
    assert changes(converge(client)) == {0}


def test_images_go_when_no_release_needs_them(client: Client, hosts: list[Any]) -> None:
    """The record has the last releases, so they are pushed out of it; how old an image is does not matter."""
    had = [set(_digests(host)) for host in hosts]
    for number in range(7):
        converge(
            client,
            "-e",
            f"release=filler-{number}",
            "-e",
            f"app_log_level={('ERROR', 'WARNING')[number % 2]}",
        )
    converge(client, "-e", "release=filler-7")
    for host, before in zip(hosts, had, strict=True):
        record = host.record()
        needed = {
            bundle["image"].partition("@")[2] for bundle in (record, record["previous"], *record["history"])
        }
        assert needed < before
        assert set(_digests(host)) == needed


def _digests(host: Any) -> list[str]:
    listed = host.run("docker", "images", "--digests", "--format={{.Digest}}", REPOSITORY)
    return [digest for digest in listed.split() if digest.startswith("sha256:")]


def test_after_all_that_nothing_is_left_to_do(client: Client, hosts: list[Any]) -> None:
    assert changes(converge(client)) == {0}
    assert (
        podman(
            "exec", client.fleet.container(registry.HOST), "systemctl", "is-active", "docker-registry"
        ).strip()
        == "active"
    )
    for host in hosts:
        assert host.get(host.slot).startswith("200 ")

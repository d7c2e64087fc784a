# SPDX-License-Identifier: GPL-3.0-or-later
"""When the edge asks for a certificate, what it takes for one, and what it says when there is none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from house import ROOT

FILES = ROOT / "roles/reverse_proxy/files"
DAY = 86400.0
DOMAIN = "api.example.net"
DIRECTORY = "https://acme.example.net/dir"
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


class Program:
    """A program of files/ whose names can be set, as its functions see them."""

    def __init__(self, name: str) -> None:
        self.names = run_path(str(FILES / name))

    def __getattr__(self, name: str) -> Any:
        return self.names[name]

    def set(self, **values: object) -> None:
        # Every function has the same globals, which are not those that run_path returns.
        self.names["main"].__globals__.update(values)


def openssl(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


class Authority:
    """A root and one below it, and what they issue."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ca = ("-addext", "basicConstraints=critical,CA:TRUE")
        openssl(*new("root"), "-x509", "-days", "3", "-subj", "/CN=root", *ca, cwd=directory)
        openssl(*new("middle"), "-subj", "/CN=middle", cwd=directory)
        self._sign("middle", "root", "basicConstraints=critical,CA:TRUE", 3)
        openssl("genpkey", *EC, "-out", "leaf.key", cwd=directory)

    def issue(self, name: str = DOMAIN, days: int = 90, key: str = "leaf.key") -> str:
        openssl("req", "-new", "-key", key, "-subj", "/CN=leaf", "-out", "leaf.csr", cwd=self.directory)
        return self._sign("leaf", "middle", f"subjectAltName=DNS:{name}", days)

    def pem(self, name: str) -> str:
        return (self.directory / f"{name}.crt").read_text()

    def _sign(self, name: str, by: str, extension: str, days: int) -> str:
        (self.directory / "ext").write_text(extension + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial",
                "-days", str(days), "-extfile", "ext", "-out", f"{name}.crt", cwd=self.directory)  # fmt: skip
        return self.pem(name)


EC = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def new(name: str) -> list[str]:
    out = ["-out", f"{name}.crt" if name == "root" else f"{name}.csr"]
    return ["req", "-newkey", "ec", *EC[2:], "-nodes", "-keyout", f"{name}.key", *out]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def renewer(tmp_path: Path) -> Program:
    program = Program("acme-renew")
    paths = {name: str(tmp_path / name.lower()) for name in ("STATE", "INSTALLED", "SPOOL")}
    for path in paths.values():
        os.mkdir(path)
    told: list[dict[str, Any]] = []
    program.set(
        **paths,
        CONFIG=str(tmp_path / "acme.json"),
        JOURNAL=str(tmp_path / "journal"),
        FALLBACK=str(tmp_path / "edge.crt"),
        told=told,
    )
    program.set(
        tell=lambda level, config, action, **more: told.append({"level": level, "action": action, **more})
    )
    return program


CONFIG: dict[str, Any] = {
    "directory": DIRECTORY, "email": "ops@example.com", "domain": DOMAIN, "address": "127.0.0.1", "challenge": "http-01",
    "provider": "", "hook": "", "resolvers": [], "propagation": True, "ca_file": "", "eab_kid": "kid-1",
    "renew_share": 33, "deadline": 5,
}  # fmt: skip


def names_of(renewer: Program) -> dict[str, Any]:
    found: dict[str, Any] = renewer.main.__globals__
    return found


def wait_for_key(renewer: Program, authority: Authority) -> None:
    shutil.copy(authority.directory / "leaf.key", Path(names_of(renewer)["STATE"], "pending.key"))
    renewer.write_state({"ordered": DIRECTORY, **renewer.read_state()})


# -- when ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "left", "due"),
    [
        (90, 31, False),
        (90, 29, True),
        (90, -1, True),
        (6, 2.1, False),
        (6, 1.9, True),
        (1, 0.34, False),
        (1, 0.3, True),
    ],
)
def test_it_is_time_when_a_third_is_left(renewer: Program, lifetime: float, left: float, due: bool) -> None:
    site = Path(names_of(renewer)["INSTALLED"], "site.conf")
    site.write_text(f"# Issued by way of {DIRECTORY}\n")
    found = renewer.Certificate((left - lifetime) * DAY, left * DAY, "", "", True)
    assert bool(renewer.why(CONFIG, found, 0.0)) == due


def test_it_is_time_when_it_is_not_what_is_wanted(renewer: Program) -> None:
    good = renewer.Certificate(-DAY, 89 * DAY, "", "", True)
    assert renewer.why(CONFIG, None, 0.0) == "there is none yet"
    assert "another authority" in renewer.why(CONFIG, good, 0.0)
    assert "another name" in renewer.why(CONFIG, good._replace(fits=False), 0.0)


def test_failures_make_it_wait_but_not_to_the_end(renewer: Program) -> None:
    hours = [round((renewer.wait_after(failures, 30 * DAY) + 300) / 3600) for failures in range(1, 8)]
    assert hours == [1, 2, 4, 8, 16, 24, 24]
    assert renewer.wait_after(9, 8 * 3600) == 2 * 3600 - 300
    # Expired, or nearly: every time that the timer fires.
    assert renewer.wait_after(9, -DAY) == renewer.wait_after(1, 30 * DAY) == 3600 - 300


# -- what is taken for a certificate ---------------------------------------------------------------------------------------


def faults(renewer: Program, authority: Authority, chain: str, now: float | None = None) -> list[str]:
    key = str(authority.directory / "leaf.key")
    found: list[str] = renewer.faults(chain, key, DOMAIN, time.time() if now is None else now)
    return found


def test_a_good_one(renewer: Program, authority: Authority) -> None:
    leaf = authority.issue()
    assert faults(renewer, authority, leaf + authority.pem("middle")) == []
    assert faults(renewer, authority, leaf) == []


def test_bad_ones(renewer: Program, authority: Authority) -> None:
    leaf, middle = authority.issue(), authority.pem("middle")
    assert faults(renewer, authority, leaf + authority.pem("root")) == ["chain"]
    assert faults(renewer, authority, authority.issue("other.example.net") + middle) == ["name"]
    assert faults(renewer, authority, leaf + middle, now=4e9) == ["expired"]
    assert faults(renewer, authority, leaf + middle, now=1e9) == ["early"]
    openssl("genpkey", *EC, "-out", "other.key", cwd=authority.directory)
    assert faults(renewer, authority, authority.issue(key="other.key") + middle) == ["key"]


@pytest.mark.parametrize(
    "change",
    [
        lambda leaf: "",
        lambda leaf: "hello",
        lambda leaf: leaf + "ssl_certificate_key /etc/shadow;\n",
        lambda leaf: leaf.replace("MII", "MIJ", 1),
        lambda leaf: leaf + leaf[:200],
    ],
)
def test_what_is_none(renewer: Program, authority: Authority, change: Callable[[str], str]) -> None:
    assert faults(renewer, authority, change(authority.issue())) == ["unreadable"]


def test_wildcards_do(renewer: Program, authority: Authority) -> None:
    assert faults(renewer, authority, authority.issue("*.example.net")) == []


def test_the_other_user_can_have_no_file_read(renewer: Program, tmp_path: Path) -> None:
    spool = Path(names_of(renewer)["SPOOL"])
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    (spool / "certificate.pem").symlink_to(secret)
    assert renewer.spooled("certificate.pem") == ""
    os.unlink(spool / "certificate.pem")
    os.mkfifo(spool / "certificate.pem")
    assert renewer.spooled("certificate.pem") == ""
    (spool / "answer.json").write_text("x" * 300_000)
    assert renewer.spooled("answer.json") == ""
    assert renewer.spooled("nothing") == ""


@pytest.mark.parametrize("told", ["", "[]", "nonsense", '{"cause": 1}', '"x"'])
def test_an_answer_that_is_none(renewer: Program, told: str) -> None:
    Path(names_of(renewer)["SPOOL"], "answer.json").write_text(told)
    assert renewer.answer() == {}


def test_an_answer_is_shown_as_one_line(renewer: Program) -> None:
    text = json.dumps({"cause": "a\nb", "words": "one\ntwo\x1b[31m" + "x" * 900})
    Path(names_of(renewer)["SPOOL"], "answer.json").write_text(text)
    told = renewer.answer()
    assert told["cause"] == "order"
    assert told["words"].startswith("one two [31mxxx")
    assert len(told["words"]) == 500


# -- a run -----------------------------------------------------------------------------------------------------------------


def test_a_failure_is_told_and_waited_after(renewer: Program, authority: Authority) -> None:
    told = names_of(renewer)["told"]
    Path(names_of(renewer)["FALLBACK"]).write_text(authority.issue(days=40))

    def fail(_config: object) -> str:
        raise renewer.Failed("unreachable", "connection refused")

    renewer.set(order=fail)
    now = time.time()
    assert renewer.renew("scheduled", CONFIG, now) == 1
    assert told[-1]["action"] == "renewal_failed"
    expected = {"cause": "unreachable", "days_left": 39, "serving": "environment", "failures": 1}
    assert {key: told[-1][key] for key in expected} == expected
    # The timer's next look is too early, a person's is not.
    assert renewer.renew("scheduled", CONFIG, now + 60) == 0
    assert len(told) == 1
    assert renewer.renew("now", CONFIG, now + 60) == 1
    assert told[-1]["failures"] == 2


def test_whatever_goes_wrong_is_told(renewer: Program) -> None:
    renewer.set(order=lambda _config: 1 / 0)
    assert renewer.renew("now", CONFIG, 1e9) == 1
    assert names_of(renewer)["told"][-1]["cause"] == "internal"


def test_what_waits_is_installed_without_asking_again(renewer: Program, authority: Authority) -> None:
    chain = authority.issue() + authority.pem("middle")
    wait_for_key(renewer, authority)
    Path(names_of(renewer)["SPOOL"], "certificate.pem").write_text(chain)
    installed: list[str] = []
    renewer.set(install=lambda _config, text: installed.append(text), order=lambda _config: 1 / 0)
    assert renewer.renew("scheduled", CONFIG, time.time()) == 0
    assert installed == [chain]
    assert names_of(renewer)["told"][-1]["action"] == "renewed"
    assert not Path(names_of(renewer)["STATE"], "pending.key").exists()


def test_what_waits_from_another_authority_is_not_installed(renewer: Program, authority: Authority) -> None:
    """Such as the staging one, after the inventory has gone on to the real one."""
    wait_for_key(renewer, authority)
    Path(names_of(renewer)["SPOOL"], "certificate.pem").write_text(authority.issue())
    installed: list[str] = []
    renewer.set(
        install=lambda _config, text: installed.append(text), order=lambda _config: authority.issue(days=9)
    )
    other = {**CONFIG, "directory": "https://real.example.net/dir"}
    assert renewer.renew("now", other, time.time()) == 0
    assert len(installed) == 1
    assert names_of(renewer)["told"][-1]["days_left"] in (8, 9)


def test_a_damaged_key_is_as_good_as_none(renewer: Program, authority: Authority) -> None:
    wait_for_key(renewer, authority)
    Path(names_of(renewer)["STATE"], "pending.key").write_text("nonsense")
    Path(names_of(renewer)["SPOOL"], "certificate.pem").write_text(authority.issue())
    assert renewer.unfinished(CONFIG) == ""


def test_what_nobody_has_tried_does_not_wait(renewer: Program, authority: Authority) -> None:
    state = {"failures": 3, "next_try": time.time() + 9000}
    renewer.write_state(state)
    wait_for_key(renewer, authority)
    Path(names_of(renewer)["SPOOL"], "certificate.pem").write_text(authority.issue())
    renewer.set(install=lambda _config, text: None)
    assert renewer.renew("scheduled", CONFIG, time.time()) == 0
    assert names_of(renewer)["told"][-1]["action"] == "renewed"
    # What was tried already does.
    renewer.write_state({**state, "installs": 1})
    wait_for_key(renewer, authority)
    assert renewer.renew("scheduled", CONFIG, time.time()) == 0
    assert len(names_of(renewer)["told"]) == 1


def test_what_is_refused_again_and_again_is_asked_for_anew(renewer: Program, authority: Authority) -> None:
    chain = authority.issue() + authority.pem("middle")
    asked: list[str] = []

    def order(_config: object) -> str:
        wait_for_key(renewer, authority)
        Path(names_of(renewer)["SPOOL"], "certificate.pem").write_text(chain)
        asked.append(chain)
        return chain

    def refuse(_config: object, _chain: str) -> None:
        raise renewer.Failed("nginx_refused", "no")

    renewer.set(order=order, install=refuse)
    now = time.time()
    counts = []
    for _run in range(5):
        assert renewer.renew("now", CONFIG, now) == 1
        counts.append(len(asked))
    assert counts == [1, 1, 1, 2, 2]


def test_the_engine_is_what_it_calls(
    renewer: Program, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair under a name of its own, and one file that makes nginx use it."""
    monkeypatch.syspath_prepend(str(ROOT / "plugins/module_utils"))
    renewer.set(LIBRARY=str(ROOT / "plugins/module_utils"))
    seen: list[Any] = []
    monkeypatch.setattr(
        import_module("config_set.engine").Engine, "apply", lambda self: seen.append(self.spec)
    )
    chain = authority.issue() + authority.pem("middle")
    wait_for_key(renewer, authority)
    renewer.install(CONFIG, chain)
    pair, conf = seen[0].files[:2], seen[0].files[2]
    assert [(file.path.rpartition(".")[2], file.mode, file.secret) for file in pair] == [
        ("crt", 0o644, False),
        ("key", 0o400, True),
    ]
    # The last to be renamed is the one that counts.
    assert conf.path.endswith("/site.conf")
    assert f"ssl_certificate {pair[0].path};\nssl_certificate_key {pair[1].path};\n" in conf.content.decode()
    assert seen[0].check == (("nginx", "-t", "-q"),)
    assert seen[0].probes[0].command[-4:-1] == ("served", "127.0.0.1", DOMAIN)
    assert "config_set.engine" in sys.modules


@pytest.mark.parametrize(
    ("error", "cause"),
    [("Rejected", "nginx_refused"), ("PutBackFailed", "put_back_failed"), ("ServiceError", "install")],
)
def test_the_engines_refusals(
    renewer: Program, authority: Authority, monkeypatch: pytest.MonkeyPatch, error: str, cause: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "plugins/module_utils"))
    renewer.set(LIBRARY=str(ROOT / "plugins/module_utils"))
    kind = getattr(import_module("config_set.errors"), error)

    def fail(_self: object) -> None:
        raise kind(*(["nginx -t", "no"] if error == "Rejected" else ["no"]))

    monkeypatch.setattr(import_module("config_set.engine").Engine, "apply", fail)
    wait_for_key(renewer, authority)
    with pytest.raises(renewer.Failed) as caught:
        renewer.install(CONFIG, authority.issue())
    assert caught.value.cause == cause


# -- the part that has the network -----------------------------------------------------------------------------------------

ORDER = Program("acme-order")
LEGO = (
    "2026/11/24 17:57:07 Could not obtain certificates:\n\terror: one or more domains had a problem:\n[api] "
)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            "acme: error: 403 :: urn:ietf:params:acme:error:unauthorized :: 192.0.2.1: connection refused",
            "unauthorized",
        ),
        (
            "acme: error: 429 :: POST :: https://x :: urn:ietf:params:acme:error:rateLimited :: too many",
            "rateLimited",
        ),
        ("dial tcp 192.0.2.9:443: connect: connection refused", "unreachable"),
        ("no certificate within 5 s: timed out", "unreachable"),
        ("x509: certificate signed by unknown authority", "tls"),
        ("[api] acme: error presenting token: exit status 1", "dns_hook"),
        (
            "propagation: time limit exceeded: last error: NS ns1. did not return the expected TXT record",
            "dns_propagation",
        ),
        ("something new", "order"),
        (
            "retry due to: acme: urn:ietf:params:acme:error:badNonce\nerror presenting token: exit status 1",
            "dns_hook",
        ),
    ],
)
def test_causes(words: str, cause: str) -> None:
    told = "\n".join(LEGO + line for line in words.splitlines())
    assert ORDER.cause_of(told) == cause
    assert ORDER.last_of(LEGO + words) in (LEGO + words)


def test_no_secret_is_an_argument() -> None:
    dns = {
        **CONFIG,
        "challenge": "dns-01",
        "provider": "exec",
        "resolvers": ["192.0.2.53:53"],
        "propagation": False,
    }
    assert ORDER.arguments(CONFIG, "/state", "/request") == [
        *(
            "/usr/bin/lego",
            "--accept-tos",
            "--server",
            DIRECTORY,
            "--email",
            "ops@example.com",
            "--path",
            "/state",
        ),
        *("--csr", "/request", "--http", "--http.webroot", "/run/hardened-acme", "run"),
    ]
    assert ORDER.arguments(dns, "/state", "/request")[-6:] == [
        *("--dns", "exec", "--dns.resolvers", "192.0.2.53:53", "--dns.disable-cp", "run")
    ]


def test_what_lego_repeats_is_masked() -> None:
    secrets = {"environment": {"TOKEN": "hunter2hunter2", "ID": "hunter2", "N": "1"}, "eab_hmac": "c2VjcmV0"}
    text = "Authorization: hunter2hunter2 for hunter2, c2VjcmV0, 1"
    assert ORDER.masked(text, secrets) == "Authorization: ******** for ********, ********, 1"


def test_a_binding_is_what_rfc_8555_says() -> None:
    mac_key = base64.urlsafe_b64encode(b"k" * 33).decode().rstrip("=")
    bound = ORDER.binding("https://acme.example.net/new", {"kty": "EC"}, "kid-1", mac_key)
    head = json.loads(base64.urlsafe_b64decode(bound["protected"] + "=="))
    assert head == {"alg": "HS256", "kid": "kid-1", "url": "https://acme.example.net/new"}
    signed = f"{bound['protected']}.{bound['payload']}".encode()
    mac = base64.urlsafe_b64encode(hmac.new(b"k" * 33, signed, hashlib.sha256).digest()).decode().rstrip("=")
    assert bound["signature"] == mac


def test_signatures_have_64_bytes(tmp_path: Path) -> None:
    """Integers of DER are longer or shorter than 32 bytes every few times."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key", cwd=tmp_path)
    assert {len(ORDER.signature(str(tmp_path / "key"), bytes([number]))) for number in range(64)} == {64}


def test_an_account_is_only_asked_for_by_https() -> None:
    with pytest.raises(ORDER.Refused):
        ORDER.call(None, "http://acme.example.net/dir")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of config_set that talk to the outside: systemctl, probes, checkers, mounts; and its arguments."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set import namespace
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import (
    ARGUMENT_SPEC,
    digest,
    find_problems,
    pack,
    to_spec,
    unpack,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import (
    ProbeError,
    RehearsalImpossible,
    ServiceError,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import Change, ProbeSpec
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.nodes import ABSENT, File
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.probe import attempt, wait_for
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.process import run
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.rehearse import rehearse
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import (
    Systemd,
    is_unit_file,
)


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a systemctl and a journalctl on PATH that answer as told and note how they were called."""

    def install(answer: str, code: int = 0, journal: str = "") -> Path:
        calls = tmp_path / "calls"
        for name, text, status in (("systemctl", answer, code), ("journalctl", journal, 0)):
            program = tmp_path / name
            program.write_text(
                f"#!/bin/sh\necho {name} \"$@\" >>{calls}\ncat <<'END'\n{text}\nEND\nexit {status}\n"
            )
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return calls

    return install


class TestSystemd:
    def test_all_units_are_asked_for_in_one_call(self, systemctl: Any) -> None:
        calls = systemctl(
            "Id=a.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNeedDaemonReload=yes\n"
            "\n"
            "Id=b.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n"
            "\n"
            "Id=c.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=static\n"
            "\n"
            "Id=d.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=masked\n"
        )
        a, b, c, d = Systemd().show(["a", "b", "c", "d"]).values()
        assert (a.found, a.running, a.enabled, a.stale, a.description) == (
            True,
            True,
            True,
            True,
            "active (running)",
        )
        assert (b.found, b.running, b.enabled, b.description) == (False, False, False, "not found")
        assert (c.running, c.enabled) == (False, None)
        assert (d.running, d.failed, d.enabled) == (False, True, False)
        assert len(calls.read_text().splitlines()) == 1

    def test_no_units_cost_no_call(self, systemctl: Any) -> None:
        calls = systemctl("", 1)
        assert Systemd().show([]) == {}
        assert not calls.exists()

    @pytest.mark.parametrize(
        ("active", "done"), [("activating", ["show", "start", "reload"]), ("active", ["show", "reload"])]
    )
    def test_a_unit_that_is_starting_is_waited_for(
        self, systemctl: Any, active: str, done: list[str]
    ) -> None:
        """systemd forgets a reload that comes while the unit starts."""
        calls = systemctl(f"Id=a.service\nLoadState=loaded\nActiveState={active}\nSubState=start\n")
        Systemd().act("reload", "a.service")
        assert [line.split()[2] for line in calls.read_text().splitlines()] == done

    def test_a_refusal_comes_with_the_units_last_words(self, systemctl: Any) -> None:
        systemctl("Job for a.service failed.", 1, journal="nginx: [emerg] bind() failed")
        with pytest.raises(ServiceError) as error:
            Systemd().act("restart", "a.service")
        assert str(error.value) == (
            "systemctl restart a.service failed: Job for a.service failed.\n"
            "last journal lines of a.service:\n  nginx: [emerg] bind() failed"
        )

    def test_a_host_without_systemd_is_told_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = "ansible_collections.techsaas.hardened.plugins.module_utils.config_set.process.SYSTEM_PATH"
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(module, str(tmp_path))
        with pytest.raises(ServiceError, match="systemctl is not installed"):
            Systemd().show(["a.service"])

    def test_unit_files(self) -> None:
        assert is_unit_file("/etc/systemd/system/a.service.d/b.conf")
        assert not is_unit_file("/etc/systemd/journald.conf")


@pytest.fixture
def web_server() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/ok": 200, "/moved": 302}.get(self.path, 503)
            if self.path == "/key" and self.headers["X-Key"] == "k":
                status = 204
            self.send_response(status)
            self.send_header("Location", "/ok")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class TestProbe:
    def test_http(self, web_server: int) -> None:
        def ask(path: str, **more: Any) -> str | None:
            return attempt(ProbeSpec(http={"url": f"http://127.0.0.1:{web_server}{path}", **more}), 2)

        assert ask("/ok") is None
        assert ask("/key", headers={"X-Key": "k"}, status=[204]) is None
        assert ask("/bad") == "status 503, expected 200"
        assert ask("/moved", status=[200, 201]) == "status 302, expected 200 or 201"

    def test_tcp_and_unix_sockets(self, web_server: int, tmp_path: Path) -> None:
        assert attempt(ProbeSpec(tcp=f"127.0.0.1:{web_server}"), 2) is None
        place = str(tmp_path / "s")
        assert "No such file" in str(attempt(ProbeSpec(socket=place), 2))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place)
            listener.listen()
            assert attempt(ProbeSpec(socket=place), 2) is None
        assert "refused" in str(attempt(ProbeSpec(tcp=f"127.0.0.1:{closed_port()}"), 2))

    def test_a_probe_is_repeated_until_it_succeeds(self, tmp_path: Path) -> None:
        counter = tmp_path / "n"
        wait_for(ProbeSpec(("sh", "-c", f"echo >>{counter}; test $(wc -l <{counter}) -ge 3"), interval=0.01))
        assert counter.read_text() == "\n\n\n"

    def test_the_last_failure_is_told_at_the_deadline(self) -> None:
        probe = ProbeSpec(tcp=f"127.0.0.1:{closed_port()}", deadline=0.1, interval=0.02)
        with pytest.raises(ProbeError, match=r"probe tcp .* did not succeed within 0.1 s; last: .*refused"):
            wait_for(probe)


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class TestProcess:
    def test_a_slow_program_is_ended_with_all_its_children(self) -> None:
        done = run(["sh", "-c", "echo begun; sleep 30 & sleep 30"], 0.3)
        assert (done.rc, done.out, done.err) == (124, "begun\n", "no answer within 0.3 s")

    def test_a_missing_program_is_a_result(self) -> None:
        assert run(["no-such-program"], 1).words == "no-such-program: program not found"


class TestNamespace:
    def test_nested_directories_collapse(self) -> None:
        assert namespace.collapse(
            ["/etc/nginx/conf.d", "/etc/nginx", "/etc/nginx-old", "/srv/a", "/etc/nginx"]
        ) == [
            "/etc/nginx",
            "/etc/nginx-old",
            "/srv/a",
        ]

    def test_paths_with_the_separators_of_mount_options(self, tmp_path: Path) -> None:
        place = tmp_path / "a:b,c=d e"
        place.mkdir()
        script = 'test "$(cat "$0")" = future && mkdir "$(dirname "$0")/sub"'
        change = Change(str(place / "x"), ABSENT, File(b"future", 0, 0, 0o644))
        rehearse([change], [("sh", "-c", script, str(place / "x"))], 10, "t")
        assert list(place.iterdir()) == []

    def test_attributes_of_the_covered_directory_stay(self, tmp_path: Path) -> None:
        place = tmp_path / "d"
        place.mkdir(0o711)
        check = ("sh", "-c", f'test "$(stat -c %a {place})" = 711')
        rehearse([Change(str(place / "x"), ABSENT, File(b"", 0, 0, 0o644))], [check], 10, "t")

    def test_mount_points_below_stay_in_place(self, tmp_path: Path) -> None:
        (tmp_path / "etc/inner").mkdir(parents=True)
        (tmp_path / "etc/hosts").write_text("underneath")
        (tmp_path / "hosts").write_text("mounted")
        script = f"""
            mount --bind {tmp_path}/hosts {tmp_path}/etc/hosts && mount -t tmpfs none {tmp_path}/etc/inner &&
            echo inner >{tmp_path}/etc/inner/file && exec "$0" -c "$1"
        """
        python = f"""if True:
            from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.rehearse import rehearse
            from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import Change
            from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.nodes import ABSENT, File
            change = Change("{tmp_path}/etc/x", ABSENT, File(b"future ", 0, 0, 0o644))
            rehearse([change], [("sh", "-c", "cd {tmp_path}/etc; test \\"$(cat x hosts inner/file)\\" = 'future mountedinner'")], 10, "t")
        """
        import sys

        done = run(["unshare", "--mount", "sh", "-c", script, sys.executable, python], 20)
        assert done.rc == 0, done.words

    def test_where_no_overlay_can_be_had_a_copy_serves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub/old").write_text("old")
        (tmp_path / "link").symlink_to("sub/old")
        real = namespace._mount

        def no_overlay(libc: Any, source: str, *more: Any) -> None:
            if source == "overlay":
                raise RehearsalImpossible("too deep")
            real(libc, source, *more)

        monkeypatch.setattr(namespace, "_mount", no_overlay)
        change = Change(str(tmp_path / "new"), ABSENT, File(b"new", 0, 0, 0o644))
        rehearse([change], [("sh", "-c", f'cd {tmp_path} && test "$(cat link new)" = oldnew')], 10, "t")
        assert not (tmp_path / "new").exists()
        monkeypatch.setattr(namespace, "COPY_LIMIT", 1)
        with pytest.raises(RehearsalImpossible, match=r"too deep; and .* is too large"):
            rehearse([change], [("true",)], 10, "t")

    def test_without_the_right_to_mount_the_fix_is_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(namespace, "CLONE_NEWNS", 0xFFFFFFFF)
        with pytest.raises(RehearsalImpossible, match="become: true"):
            rehearse([Change(str(tmp_path / "x"), ABSENT, File(b"", 0, 0, 0o644))], [("true",)], 10, "t")


def arguments(**given: Any) -> dict[str, Any]:
    result = ArgumentSpecValidator(ARGUMENT_SPEC).validate({"name": "demo", **given})
    assert not result.error_messages
    return dict(result.validated_parameters)


class TestArguments:
    def test_contents_survive_packing(self) -> None:
        contents = {"/a": b"\x00\xff binary", "/b": "täxt".encode()}
        assert unpack(pack(contents)) == contents

    def test_the_model_has_everything(self) -> None:
        given = arguments(
            files=[
                {"path": "/f", "mode": "0600", "secret": True, "on_change": "none"},
                {"path": "/g", "state": "absent"},
            ],
            directories=[{"path": "/d", "purge": True, "exclude": ["*.x"]}],
            links=[{"path": "/l", "target": "t"}],
            check=[["nginx", "-t"]],
            services=[{"name": "a", "enabled": True}],
            probe=[{"tcp": "h:1", "deadline": 3}],
            secrets=["", "hunter2"],
            contents=pack({"/f": b"x"}),
        )
        spec = to_spec(given)
        assert (spec.files[0].content, spec.files[0].mode, spec.files[1].content) == (b"x", 0o600, None)
        assert (spec.directories[0].purge, spec.directories[0].exclude) == (True, ("*.x",))
        assert (spec.check, spec.secrets, spec.probes[0].deadline) == ((("nginx", "-t"),), ("hunter2",), 3.0)
        assert "hunter2" not in repr(spec) and "b'x'" not in repr(spec)

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            ({"name": "../x"}, "name: '../x' must be"),
            ({"files": [{"path": "x", "content": ""}]}, "files[0] (x).path: must be absolute"),
            ({"files": [{"path": "/a/../b", "content": ""}]}, "must be written plainly, as /b"),
            (
                {"files": [{"path": "/a", "content": ""}], "links": [{"path": "/a", "target": "b"}]},
                "already used by files",
            ),
            (
                {"files": [{"path": "/a", "content": ""}, {"path": "/a/b", "content": ""}]},
                "lies below files[0] (/a)",
            ),
            ({"files": [{"path": "/a"}]}, "exactly one of template, content or source; found none"),
            ({"files": [{"path": "/a", "content": "", "source": "b"}]}, "found content and source"),
            (
                {"files": [{"path": "/a", "content": "", "state": "absent"}]},
                "is absent, so it takes no content",
            ),
            ({"files": [{"path": "/a", "content": "", "mode": 420}]}, "420 must be a quoted octal string"),
            ({"directories": [{"path": "/a", "mode": "u=rw"}]}, "'u=rw' must be a quoted octal string"),
            ({"links": [{"path": "/a", "target": ""}]}, "target: must not be empty"),
            ({"check": [[]]}, "check[0]: must be a list of words"),
            ({"probe": [{"deadline": 1}]}, "exactly one of command, tcp, http, socket"),
            ({"probe": [{"tcp": "h:0"}]}, "'h:0' is not host:port"),
            ({"probe": [{"http": {"url": "file:///x"}}]}, "must begin with http"),
            ({"probe": [{"socket": "/s", "interval": 0}]}, "interval: must be more than 0"),
            ({"services": [{"name": "a"}, {"name": "a"}]}, "'a' is named more than once"),
            ({"secrets": ["abc"]}, "secrets[0]: is shorter than 4"),
            ({"keep": -1}, "keep: must not be negative"),
        ],
    )
    def test_each_mistake_is_found_alone(self, given: dict[str, Any], problem: str) -> None:
        problems = list(find_problems(arguments(**given)))
        assert len(problems) == 1 and problem in problems[0]


def test_the_digest_tells_what_is_wanted_not_how_it_is_looked_at() -> None:
    sent = {"name": "nginx", "contents": pack({"/etc/a": b"one"}), "mode": "apply"}
    assert digest({**sent, "mode": "judge"}) == digest(sent)
    assert digest({**sent, "contents": pack({"/etc/a": b"two"})}) != digest(sent)
    assert digest({**sent, "check": [["nginx", "-t"]]}) != digest(sent)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs of a set against a real file tree and a fake service manager."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import (
    ConfigSetError,
    Problems,
    PutBackFailed,
    Rejected,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import ProbeSpec, SetSpec
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.result import masker_for, to_result
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.config_set_fakes import (
    Universe,
    at_step,
    raise_error,
    service,
)

UNIT = "demo.service"


@pytest.fixture
def universe() -> Iterator[Universe]:
    made = Universe()
    yield made
    made.close()


def demo(universe: Universe, content: bytes = b"one", **more: Any) -> SetSpec:
    fields: dict[str, Any] = {
        "files": (universe.file("main.conf", content),),
        "services": (service(),),
        **more,
    }
    return SetSpec("demo", **fields)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def steps_of(universe: Universe, spec: SetSpec) -> list[str]:
    seen: list[str] = []
    universe.apply(spec, lambda step, _subject: seen.append(step))
    return seen


class TestConvergence:
    def test_the_first_run_installs_everything_and_starts_the_service(self, universe: Universe) -> None:
        spec = demo(
            universe,
            files=(universe.file("a.conf", b"one", 0o600), universe.file("new/deep/b.conf", b"two")),
            directories=(universe.directory("own", mode=0o750),),
            links=(universe.link("on/a", "../a.conf"),),
            services=(service(enabled=True),),
        )
        outcome = universe.apply(spec)
        assert (outcome.changed, outcome.action, outcome.recovered) == (True, "start", "none")
        assert universe.snapshot() == {
            "a.conf": f"-rw------- {os.geteuid()}:{os.getegid()} 'one'",
            "new": f"drwxr-xr-x {os.geteuid()}:{os.getegid()}",
            "new/deep": f"drwxr-xr-x {os.geteuid()}:{os.getegid()}",
            "new/deep/b.conf": f"-rw-r--r-- {os.geteuid()}:{os.getegid()} 'two'",
            "on": f"drwxr-xr-x {os.geteuid()}:{os.getegid()}",
            "on/a": "-> ../a.conf",
            "own": f"drwxr-x--- {os.geteuid()}:{os.getegid()}",
        }
        unit = universe.manager.unit(UNIT)
        assert unit["enabled"] and unit["loaded"] == {
            "a.conf": "one",
            "new/deep/b.conf": "two",
            "on/a": "-> ../a.conf",
        }

    def test_a_second_run_only_looks(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        inodes = {path: path.stat().st_ino for path in universe.etc.rglob("*")}
        assert steps_of(universe, demo(universe)) == ["lock", "recover", "compare"]
        assert {path: path.stat().st_ino for path in universe.etc.rglob("*")} == inodes
        assert universe.manager.unit(UNIT)["log"] == ["start"]

    def test_drift_of_content_mode_and_link_is_mended(self, universe: Universe) -> None:
        spec = demo(universe, links=(universe.link("link", "main.conf"),))
        universe.apply(spec)
        wanted = universe.snapshot()
        (universe.etc / "main.conf").chmod(0o666)
        (universe.etc / "link").unlink()
        (universe.etc / "link").symlink_to("elsewhere")
        assert universe.apply(spec).files_changed == [universe.path("main.conf"), universe.path("link")]
        assert universe.snapshot() == wanted

    def test_a_file_that_left_the_set_is_removed_with_the_directories_made_for_it(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe, files=(universe.file("a", b"1"), universe.file("new/deep/b", b"2"))))
        (universe.etc / "new/kept").write_text("somebody else's")
        outcome = universe.apply(demo(universe, files=(universe.file("a", b"1"),)))
        assert set(outcome.files_changed) == {universe.path("new/deep"), universe.path("new/deep/b")}
        assert sorted(universe.snapshot()) == ["a", "new", "new/kept"]

    def test_directories_that_go_are_judged_too(self, universe: Universe) -> None:
        check = (("sh", "-c", f"! ls {universe.etc} | grep -q new || cat {universe.etc}/new/deep/b"),)
        deep = universe.file("new/deep/b", b"2")
        universe.apply(demo(universe, files=(universe.file("a", b"1"), deep), check=check))
        assert universe.apply(demo(universe, files=(universe.file("a", b"1"),), check=check)).judged
        assert sorted(universe.snapshot()) == ["a"]

    def test_a_file_may_be_declared_absent(self, universe: Universe) -> None:
        (universe.etc / "default").write_text("stock")
        spec = demo(universe, files=(universe.file("default", None),))
        assert universe.apply(spec).changed
        assert universe.snapshot() == {}
        assert not universe.apply(spec).changed

    def test_identical_files_are_adopted_without_a_change(self, universe: Universe) -> None:
        (universe.etc / "main.conf").write_text("one")
        (universe.etc / "main.conf").chmod(0o644)
        universe.manager.act("start", UNIT)
        assert not universe.apply(demo(universe)).changed
        universe.apply(demo(universe, files=()))
        assert universe.snapshot() == {}

    def test_purge_removes_only_what_no_set_owns(self, universe: Universe) -> None:
        universe.apply(SetSpec("other", files=(universe.file("conf.d/others.conf", b"x"),)))
        for name in ("stranger.conf", "kept.local"):
            (universe.etc / "conf.d" / name).write_text("?")
        (universe.etc / "conf.d" / "dangling").symlink_to("nowhere")
        spec = demo(
            universe,
            files=(universe.file("conf.d/mine.conf", b"1"),),
            directories=(universe.directory("conf.d", purge=True, exclude=("*.local",)),),
        )
        universe.apply(spec)
        assert sorted(universe.snapshot()) == [
            "conf.d",
            "conf.d/kept.local",
            "conf.d/mine.conf",
            "conf.d/others.conf",
        ]
        assert not universe.apply(spec).changed

    @pytest.mark.parametrize(("purged", "used"), [("alias", "real"), ("real", "alias")])
    def test_purge_knows_its_own_files_by_another_name(
        self, universe: Universe, purged: str, used: str
    ) -> None:
        (universe.etc / "real").mkdir()
        (universe.etc / "alias").symlink_to("real")
        spec = demo(
            universe,
            files=(universe.file(f"{used}/mine.conf", b"1"),),
            directories=(universe.directory(purged, purge=True),),
        )
        universe.apply(spec)
        assert sorted(universe.snapshot()) == ["alias", "real", "real/mine.conf"]
        assert not universe.apply(spec).changed

    def test_the_previous_sets_are_kept_as_many_as_asked_for(self, universe: Universe) -> None:
        for content in (b"one", b"two", b"three", b"four"):
            universe.apply(demo(universe, content, keep=2))
        previous = universe.state / "demo/previous"
        assert sorted(path.name for path in previous.iterdir()) == ["3", "4"]
        assert (previous / "4/0").read_bytes() == b"three"
        universe.apply(demo(universe, b"five", keep=0))
        assert list(previous.iterdir()) == []


class TestServices:
    @pytest.mark.parametrize(
        ("services", "file_asks", "expected"),
        [
            ("reload", None, ["start", "reload"]),
            ("restart", None, ["start", "restart"]),
            ("none", None, ["start"]),
            ("reload", "restart", ["start", "restart"]),
            ("restart", "none", ["start"]),
            ("none", "restart", ["start"]),
        ],
    )
    def test_a_change_reaches_the_service_as_asked(
        self, universe: Universe, services: str, file_asks: str | None, expected: list[str]
    ) -> None:
        for content in (b"one", b"two"):
            files = (universe.file("main.conf", content, on_change=file_asks),)
            universe.apply(demo(universe, files=files, services=(service(services),)))
        assert universe.manager.unit(UNIT)["log"] == expected

    def test_the_strongest_request_of_all_changed_files_wins(self, universe: Universe) -> None:
        for content in (b"one", b"two"):
            files = (
                universe.file("a", content),
                universe.file("b", content, on_change="restart"),
                universe.file("c", content, on_change="none"),
            )
            outcome = universe.apply(demo(universe, files=files))
        assert (outcome.action, outcome.units) == ("restart", {UNIT: "restart"})

    @pytest.mark.parametrize(
        ("state", "running", "expected"),
        [
            ("started", False, ["start"]),
            ("stopped", True, ["stop"]),
            ("stopped", False, []),
            ("unmanaged", False, []),
            ("unmanaged", True, ["reload"]),
        ],
    )
    def test_states(self, universe: Universe, state: str, running: bool, expected: list[str]) -> None:
        universe.manager.update(UNIT, running=running)
        universe.apply(demo(universe, services=(service(state=state),)))
        assert universe.manager.unit(UNIT)["log"] == expected

    def test_drift_of_the_service_alone_is_mended(self, universe: Universe) -> None:
        spec = demo(universe, services=(service(enabled=True),))
        universe.apply(spec)
        universe.manager.update(UNIT, running=False, enabled=False)
        outcome = universe.apply(spec)
        assert (outcome.changed, outcome.files_changed, outcome.action) == (True, [], "start")
        assert universe.manager.unit(UNIT)["enabled"]

    def test_probes_run_after_a_change_only(self, universe: Universe) -> None:
        probe = ProbeSpec(("sh", "-c", f"echo . >>{universe.root}/probed"))
        for _run in range(2):
            universe.apply(demo(universe, probes=(probe,)))
        assert (universe.root / "probed").read_text() == ".\n"


class TestFailures:
    def test_a_rejected_set_changes_nothing_and_the_checker_speaks(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        before = (universe.snapshot(), universe.services())
        check = (
            "sh",
            "-c",
            f"grep -q two {universe.etc}/main.conf && echo 'line 1: no' >&2 && exit 3 || exit 0",
        )
        engine = universe.engine(demo(universe, b"two", check=(check,)))
        with pytest.raises(Rejected, match=r"line 1: no\n\(exit code 3\)"):
            engine.apply()
        assert engine.outcome.judged
        assert (universe.snapshot(), universe.services()) == before

    def test_the_checker_sees_the_whole_future_set_and_nobody_else_does(self, universe: Universe) -> None:
        universe.apply(
            demo(universe, files=(universe.file("gone", b"x"), universe.file("main.conf", b"one")))
        )
        (universe.etc / "conf.d").mkdir()
        (universe.etc / "conf.d/stranger").write_text("?")
        report, live = universe.root / "report", universe.root / "live"
        script = f"cd {universe.etc}; ls -R . >{report}; cat main.conf new/b.conf on/a >>{report}; ls -R /proc/{os.getpid()}/root{universe.etc} >{live}"
        spec = demo(
            universe,
            files=(universe.file("main.conf", b"two\n"), universe.file("new/b.conf", b"three\n")),
            directories=(universe.directory("conf.d", purge=True),),
            links=(universe.link("on/a", "../main.conf"),),
            check=(("sh", "-c", script),),
        )
        assert universe.apply(spec).judged
        assert report.read_text().split() == (
            ".: conf.d main.conf new on ./conf.d: ./new: b.conf ./on: a two three two".split()
        )
        assert "gone" in live.read_text() and "new" not in live.read_text()

    def test_a_missing_checker_is_an_error_before_anything_changes(self, universe: Universe) -> None:
        with pytest.raises(Problems, match="no-such-checker is not installed"):
            universe.apply(demo(universe, check=(("no-such-checker", "-t"),)))
        assert universe.snapshot() == {}

    def test_a_service_that_refuses_gets_its_previous_set_back(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        before = (universe.snapshot(), universe.services())
        engine = universe.engine(demo(universe, b"BREAK"))
        with pytest.raises(
            ConfigSetError, match=r"reload of demo.service failed\nThe previous set is back in place"
        ):
            engine.apply()
        assert engine.outcome.put_back
        assert (universe.snapshot(), universe.services()) == before
        assert not (universe.state / "demo/journal.json").exists()

    def test_a_failed_first_installation_leaves_nothing(self, universe: Universe) -> None:
        spec = demo(
            universe, files=(universe.file("new/main.conf", b"BREAK"),), services=(service(enabled=True),)
        )
        with pytest.raises(ConfigSetError, match=r"start of demo.service failed"):
            universe.apply(spec)
        assert universe.snapshot() == {}
        assert universe.services()[UNIT] == {
            "running": False,
            "failed": False,
            "enabled": False,
            "loaded": None,
        }

    def test_a_failed_probe_puts_back_and_shows_the_units_last_words(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        before = (universe.snapshot(), universe.services())
        probe = ProbeSpec(("sh", "-c", "echo not yet; exit 7"), deadline=1, interval=0.05)
        with pytest.raises(
            ConfigSetError, match=r"(?s)exit code 7: not yet.*last journal lines of demo.*it hurts"
        ):
            universe.apply(demo(universe, b"two", probes=(probe,)))
        assert (universe.snapshot(), universe.services()) == before

    def test_when_the_way_back_fails_too_both_reasons_are_told_and_the_next_set_repairs(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe))
        # The old set no longer works either: something outside of the set has broken.
        (universe.etc / "foreign").write_text("BREAK")
        with pytest.raises(
            PutBackFailed, match=r"(?s)reload of .*failed.*could not be brought back either.*reload of"
        ):
            universe.apply(demo(universe, b"two"))
        assert (universe.state / "demo/journal.json").exists()
        assert (universe.etc / "main.conf").read_text() == "one"
        (universe.etc / "foreign").unlink()
        # Even the old set itself has to reach the service now, though no file changes.
        outcome = universe.apply(demo(universe))
        assert outcome.recovered == "undone"
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "one"}

    def test_what_a_failed_way_back_owes_is_paid_by_the_next_set(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        (universe.etc / "foreign").write_text("BREAK")
        with pytest.raises(PutBackFailed):
            universe.apply(demo(universe, b"two"))
        # Undoing fails again, but the new set removes the cause.
        spec = demo(
            universe,
            files=(universe.file("main.conf", b"one"), universe.file("foreign", None, on_change="none")),
        )
        outcome = universe.apply(spec)
        assert (outcome.recovered, outcome.units) == ("undone", {UNIT: "reload"})
        assert any("reload of demo.service failed" in warning for warning in outcome.warnings)
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "one"}
        assert not [name for name in universe.state_files() if "journal" in name or "saved" in name]

    def test_a_debt_to_a_service_outlives_a_run_that_fails_before_its_swap(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        (universe.etc / "foreign").write_text("BREAK")
        with pytest.raises(PutBackFailed):
            universe.apply(demo(universe, b"two"))

        with pytest.raises(PutBackFailed, match="injected"):
            universe.apply(demo(universe, b"three"), at_step("stage", raise_error))
        assert universe.apply_and_die(demo(universe, b"three"), "stage")
        (universe.etc / "foreign").unlink()
        done = len(universe.manager.unit(UNIT)["log"])
        assert universe.apply(demo(universe)).recovered == "undone"
        assert universe.manager.unit(UNIT)["log"][done:] == ["reload"]
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "one"}

    def test_unknown_accounts_are_listed_together(self, universe: Universe) -> None:
        files = (
            replace(universe.file("a", b""), owner="nosuchuser"),
            replace(universe.file("b", b""), group="nosuchgroup"),
        )
        with pytest.raises(Problems) as error:
            universe.apply(demo(universe, files=files))
        assert error.value.problems == [
            "user 'nosuchuser' does not exist on this host",
            "group 'nosuchgroup' does not exist on this host",
        ]

    def test_what_cannot_be_replaced_is_listed_together(self, universe: Universe) -> None:
        universe.apply(SetSpec("other", files=(universe.file("taken", b"x"),)))
        (universe.etc / "dir").mkdir()
        (universe.etc / "plain").write_text("")
        os.mkfifo(universe.etc / "pipe")
        names = ("dir", "plain/below", "pipe", "taken")
        with pytest.raises(Problems) as error:
            universe.apply(
                demo(
                    universe,
                    files=tuple(universe.file(name, b"x") for name in names),
                    directories=(universe.directory("plain"),),
                )
            )
        text = str(error.value)
        assert f"{universe.path('dir')}: is a directory, the set wants a file" in text
        assert f"{universe.path('plain')}: is a file, the set wants a directory" in text
        assert f"{universe.path('plain/below')}: a part of this path is not a directory" in text
        assert f"{universe.path('pipe')}: is a pipe" in text
        assert "is owned by the set 'other'" in text

    def test_two_runs_of_one_set_wait_for_each_other(self, universe: Universe) -> None:
        spec = demo(universe, lock_timeout=0.1)

        def second_run(step: str, _subject: str) -> None:
            if step == "compare":
                with pytest.raises(ConfigSetError, match="another run of this set"):
                    universe.apply(spec)

        assert universe.apply(spec, second_run).changed


class TestKills:
    """The property test covers every step at random; these name the rule."""

    @pytest.mark.parametrize(
        ("step", "recovered"),
        [
            ("backup", "none"),
            ("stage", "undone"),
            ("rename", "undone"),
            ("swapped", "undone"),
            ("act", "finished"),
            ("commit", "finished"),
            ("manifest", "finished"),
            ("previous", "finished"),
            ("forget", "finished"),
        ],
    )
    def test_undone_until_all_files_are_in_place_finished_from_then_on(
        self, universe: Universe, step: str, recovered: str
    ) -> None:
        universe.apply(demo(universe))
        assert universe.apply_and_die(demo(universe, b"two"), step)
        assert universe.apply(demo(universe, b"two")).recovered == recovered
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "two"}

    def test_a_kill_between_swap_and_reload_leads_to_exactly_one_reload(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        assert universe.apply_and_die(demo(universe, b"two"), "act")
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "one"}
        universe.apply(demo(universe, b"two"))
        assert universe.manager.unit(UNIT)["log"] == ["start", "reload"]

    def test_a_killed_run_that_cannot_be_finished_is_undone(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        assert universe.apply_and_die(demo(universe, b"two"), "act")
        (universe.etc / "main.conf").write_text("BREAK")
        outcome = universe.apply(demo(universe))
        assert (outcome.recovered, outcome.files_changed) == ("undone", [])
        assert "could not be finished" in outcome.warnings[0]
        assert universe.manager.unit(UNIT)["loaded"] == {"main.conf": "one"}

    def test_the_lock_of_a_killed_run_is_free(self, universe: Universe) -> None:
        assert universe.apply_and_die(demo(universe), 2)
        assert universe.apply(demo(universe, lock_timeout=0.0)).changed

    def test_no_child_of_a_rehearsal_outlives_its_run(self, universe: Universe) -> None:
        flag = universe.root / "flag"
        spec = demo(universe, check=(("sh", "-c", f"echo $PPID >{flag}; sleep 30"),))
        runner = os.fork()
        if runner == 0:
            universe.apply(spec)
            os._exit(0)
        wait_until(lambda: flag.exists() and flag.read_text().endswith("\n"))
        os.kill(runner, signal.SIGKILL)
        os.waitpid(runner, 0)
        child = Path("/proc", flag.read_text().strip(), "stat")
        wait_until(lambda: not child.exists() or child.read_text().split()[2] == "Z")
        assert universe.snapshot() == {}


class TestCheckMode:
    def test_the_plan_equals_the_run_and_changes_nothing(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        before = (universe.snapshot(), universe.services(), universe.state_files())
        spec = demo(universe, b"two", links=(universe.link("on/a", "x"),))
        plan = universe.engine(spec).plan()
        assert (universe.snapshot(), universe.services(), universe.state_files()) == before
        outcome = universe.apply(spec)
        assert (plan.changed, plan.action, plan.units) == (outcome.changed, outcome.action, outcome.units)
        assert plan.changes == outcome.changes

    def test_on_a_clean_host_everything_may_be_missing(self, universe: Universe) -> None:
        files = (replace(universe.file("new/a", b"x"), owner="nosuchuser"),)
        spec = demo(universe, files=files, check=(("no-such-checker",),))
        plan = universe.engine(spec).plan()
        assert (plan.changed, plan.judged, plan.action) == (True, False, "start")
        assert plan.warnings == ["not judged: no-such-checker is not installed yet"]
        assert not universe.state.exists()

    def test_a_rejection_is_an_error_once_the_set_is_installed_and_a_warning_before(
        self, universe: Universe
    ) -> None:
        spec = demo(universe, b"two", check=(("sh", "-c", f"! grep two {universe.etc}/main.conf"),))
        plan = universe.engine(spec).plan()
        assert plan.judged and "rejected by its own checker" in plan.warnings[0]
        universe.apply(demo(universe))
        with pytest.raises(Rejected):
            universe.engine(spec).plan()

    def test_an_unfinished_run_is_foretold_but_not_touched(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        assert universe.apply_and_die(demo(universe, b"two"), 8)
        state = universe.state_files()
        plan = universe.engine(demo(universe, b"two")).plan()
        assert plan.changed and plan.recovered in ("undone", "finished")
        assert universe.state_files() == state

    def test_an_error_before_the_journal_changes_nothing(self, universe: Universe) -> None:
        with pytest.raises(OSError, match="injected"):
            universe.apply(demo(universe), at_step(3, raise_error))
        assert universe.snapshot() == {}


class TestResult:
    def told(self, universe: Universe, spec: SetSpec) -> str:
        engine = universe.engine(spec)
        engine.apply()
        return json.dumps(to_result(engine.outcome, masker_for(spec, engine.outcome)))

    def test_the_secrets_of_the_last_run_are_hidden_however_the_file_changes(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe, b"key=yesterday-1\n", secrets=("yesterday-1",)))
        told = self.told(universe, demo(universe, b"[keys]\nmain: today-2\n", secrets=("today-2",)))
        assert "yesterday-1" not in told and "today-2" not in told and "main: ********" in told

    def test_a_secret_file_that_leaves_the_set_stays_hidden(self, universe: Universe) -> None:
        universe.apply(demo(universe, files=(universe.file("keys", b"hunter2-x\n", secret=True),)))
        told = self.told(universe, demo(universe, files=()))
        assert "hunter2-x" not in told and universe.path("keys") in told

    def test_a_failed_run_says_that_it_changed_nothing(self, universe: Universe) -> None:
        engine = universe.engine(demo(universe, b"BREAK"))
        with pytest.raises(ConfigSetError) as error:
            engine.apply()
        engine.outcome.failed(error.value)
        outcome = engine.outcome
        assert (outcome.changed, outcome.action, outcome.units, outcome.put_back) == (False, "none", {}, True)

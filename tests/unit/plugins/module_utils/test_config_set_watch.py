# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a set does not own but its services read, such as certificates."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import (
    ARGUMENT_SPEC,
    find_problems,
    to_spec,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import (
    ConfigSetError,
    Problems,
    PutBackFailed,
    Rejected,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import (
    ProbeSpec,
    SetSpec,
    WatchSpec,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.result import masker_for, to_result
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.config_set_fakes import (
    Universe,
    service,
)

UNIT = "demo.service"
FAILING = ProbeSpec(("sh", "-c", "echo no answer; exit 1"), deadline=0.1, interval=0.05)


@pytest.fixture
def universe() -> Iterator[Universe]:
    made = Universe()
    # Where the fake service reads it.
    (made.etc / "host.crt").write_text("old")
    yield made
    made.close()


def demo(universe: Universe, on_change: str | None = None, **more: Any) -> SetSpec:
    fields: dict[str, Any] = {
        "files": (universe.file("main.conf", b"one"),),
        "watch": (WatchSpec(universe.path("host.crt"), on_change),),
        "services": (service(),),
        **more,
    }
    return SetSpec("demo", **fields)


def renew(universe: Universe, content: str = "new") -> None:
    (universe.etc / "host.crt").write_text(content)


def log(universe: Universe) -> list[str]:
    return list(universe.manager.unit(UNIT)["log"])


def recorded(universe: Universe) -> Any:
    watched = json.loads((universe.state / "demo/manifest.json").read_text())["watched"]
    return watched.get(universe.path("host.crt"), "nothing")


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


class TestTakingOver:
    def test_the_first_run_records_what_the_started_service_reads(self, universe: Universe) -> None:
        outcome = universe.apply(demo(universe))
        assert (log(universe), recorded(universe), outcome.renewals) == (["start"], digest("old"), [])
        assert not universe.apply(demo(universe)).changed

    @pytest.mark.parametrize(
        ("services", "watch", "expected"),
        [
            ("reload", None, "reload"),
            ("restart", None, "restart"),
            ("reload", "restart", "restart"),
            ("restart", "reload", "reload"),
        ],
    )
    def test_a_renewed_file_is_taken_over_once_as_asked(
        self, universe: Universe, services: str, watch: str | None, expected: str
    ) -> None:
        spec = demo(universe, watch, services=(service(services),))
        universe.apply(spec)
        renew(universe)
        outcome = universe.apply(spec)
        assert (outcome.changed, outcome.action, outcome.files_changed) == (True, expected, [])
        assert universe.manager.unit(UNIT)["loaded"]["host.crt"] == "new"
        assert not universe.apply(spec).changed
        assert log(universe) == ["start", expected]

    @pytest.mark.parametrize(("before", "after"), [(None, "new"), ("old", None)])
    def test_a_file_may_come_and_go(self, universe: Universe, before: str | None, after: str | None) -> None:
        for content in (before, after):
            if content is None:
                (universe.etc / "host.crt").unlink(missing_ok=True)
            else:
                renew(universe, content)
            outcome = universe.apply(demo(universe))
        assert [r.word for r in outcome.renewals] == ["appeared" if before is None else "disappeared"]
        assert log(universe) == ["start", "reload"]
        assert not universe.apply(demo(universe)).changed

    def test_a_parent_that_is_no_directory_means_absent(self, universe: Universe) -> None:
        watch = (WatchSpec(universe.path("host.crt/below")), WatchSpec(universe.path("no/parent")))
        assert universe.apply(demo(universe, watch=watch)).changed
        assert not universe.apply(demo(universe, watch=watch)).changed

    def test_a_link_is_followed_as_its_readers_follow_it(self, universe: Universe) -> None:
        (universe.root / "live").write_text("old")
        (universe.etc / "link.crt").symlink_to(universe.root / "live")
        spec = demo(universe, watch=(WatchSpec(universe.path("link.crt")),))
        universe.apply(spec)
        (universe.root / "live").write_text("new")
        assert universe.apply(spec).action == "reload"

    def test_a_touched_file_with_the_same_content_is_nothing_new(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        (universe.etc / "host.crt").unlink()
        renew(universe, "old")
        (universe.etc / "host.crt").chmod(0o600)
        assert not universe.apply(demo(universe)).changed

    def test_a_service_that_is_started_anyway_is_only_started(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        universe.manager.act("stop", UNIT)
        renew(universe)
        outcome = universe.apply(demo(universe))
        assert (outcome.units, recorded(universe)) == ({UNIT: "start"}, digest("new"))
        assert [r.path for r in outcome.renewals] == [universe.path("host.crt")]
        assert not universe.apply(demo(universe)).changed

    @pytest.mark.parametrize(
        "services",
        [
            (),
            (service("none"),),
            (service(state="stopped"),),
            (service(state="unmanaged"),),
        ],
    )
    def test_where_no_service_takes_it_over_nothing_is_changed(
        self, universe: Universe, services: tuple[Any, ...]
    ) -> None:
        spec = demo(universe, services=services)
        universe.apply(spec)
        done = log(universe)
        renew(universe)
        outcome = universe.apply(spec)
        assert (outcome.changed, outcome.renewals, log(universe)) == (False, [], done)
        assert recorded(universe) == digest("new")

    def test_a_file_of_the_set_that_changes_too_costs_no_second_reload(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)
        spec = demo(universe, files=(universe.file("main.conf", b"two"),))
        outcome = universe.apply(spec)
        assert outcome.files_changed == [universe.path("main.conf")]
        assert [r.path for r in outcome.renewals] == [universe.path("host.crt")]
        assert not universe.apply(spec).changed
        assert log(universe) == ["start", "reload"]

    def test_beside_a_change_that_no_service_takes_over_it_is_not_told(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)
        spec = demo(universe, services=(service("none"),), files=(universe.file("main.conf", b"two"),))
        outcome = universe.apply(spec)
        assert (outcome.changed, outcome.renewals, recorded(universe)) == (True, [], digest("new"))

    def test_what_changes_while_it_is_taken_over_is_taken_over_again(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)

        def renew_once_more(step: str, _subject: str) -> None:
            if step == "commit":
                renew(universe, "newer")

        universe.apply(demo(universe), renew_once_more)
        assert universe.apply(demo(universe)).action == "reload"
        assert universe.manager.unit(UNIT)["loaded"]["host.crt"] == "newer"


class TestRecord:
    def test_a_file_that_was_not_watched_before_is_recorded_without_a_change(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe, watch=()))
        outcome = universe.apply(demo(universe))
        assert (outcome.changed, outcome.renewals, log(universe)) == (False, [], ["start"])
        assert recorded(universe) == digest("old")
        renew(universe)
        assert universe.apply(demo(universe)).action == "reload"

    def test_the_manifest_of_an_older_version_has_no_record(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        path = universe.state / "demo/manifest.json"
        older = json.loads(path.read_text())
        del older["watched"]
        path.write_text(json.dumps(older))
        renew(universe)
        assert not universe.apply(demo(universe)).changed
        assert recorded(universe) == digest("new")

    def test_what_is_no_longer_watched_is_forgotten(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        assert not universe.apply(demo(universe, watch=())).changed
        assert recorded(universe) == "nothing"

    def test_a_second_run_writes_nothing(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        manifest = universe.state / "demo/manifest.json"
        before = manifest.stat().st_ino
        universe.apply(demo(universe))
        assert manifest.stat().st_ino == before

    def test_a_file_that_the_set_gives_up_is_recorded_as_gone(self, universe: Universe) -> None:
        files = (universe.file("main.conf", b"one"), universe.file("host.crt", b"mine"))
        universe.apply(demo(universe, files=files, watch=()))
        universe.apply(demo(universe))
        assert (recorded(universe), (universe.etc / "host.crt").exists()) == (None, False)
        assert not universe.apply(demo(universe)).changed
        renew(universe, "mine")
        assert universe.apply(demo(universe)).action == "reload"

    @pytest.mark.parametrize("watched", ["real", "alias"])
    def test_purge_spares_it_by_either_name(self, universe: Universe, watched: str) -> None:
        (universe.etc / "real").mkdir()
        (universe.etc / "alias").symlink_to("real")
        for name in ("kept", "stranger"):
            (universe.etc / "real" / name).write_text("?")
        spec = demo(
            universe,
            watch=(WatchSpec(universe.path(f"{watched}/kept")),),
            directories=(universe.directory("real", purge=True),),
        )
        universe.apply(spec)
        assert os.listdir(universe.etc / "real") == ["kept"]


class TestFailures:
    def test_a_failed_probe_leaves_no_record_so_that_the_next_run_tries_again(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe))
        renew(universe)
        engine = universe.engine(demo(universe, probes=(FAILING,)))
        with pytest.raises(ConfigSetError, match=r"(?s)no answer.*it hurts\nNo file of the set had changed"):
            engine.apply()
        engine.outcome.failed(ConfigSetError())
        assert (engine.outcome.put_back, engine.outcome.changed) == (False, False)
        assert (recorded(universe), log(universe)) == (digest("old"), ["start", "reload"])
        assert not (universe.state / "demo/journal.json").exists()
        assert universe.apply(demo(universe)).action == "reload"
        assert not universe.apply(demo(universe)).changed

    def test_a_service_that_refuses_to_reload_is_asked_once_and_keeps_running(
        self, universe: Universe
    ) -> None:
        universe.apply(demo(universe))
        renew(universe, "BREAK")
        with pytest.raises(ConfigSetError, match=r"reload of demo.service failed") as error:
            universe.apply(demo(universe))
        assert not isinstance(error.value, PutBackFailed)
        assert log(universe) == ["start", "reload"]
        assert universe.manager.unit(UNIT)["loaded"]["host.crt"] == "old"
        renew(universe)
        outcome = universe.apply(demo(universe))
        assert (outcome.recovered, outcome.action) == ("none", "reload")

    def test_a_service_that_does_not_survive_its_restart_is_brought_back_by_the_next_run(
        self, universe: Universe
    ) -> None:
        spec = demo(universe, services=(service("restart", state="unmanaged"),))
        universe.manager.update(UNIT, running=True)
        universe.apply(spec)
        renew(universe, "BREAK")
        with pytest.raises(PutBackFailed, match="and the service could not be brought back either"):
            universe.apply(spec)
        assert recorded(universe) == digest("old")
        renew(universe)
        universe.apply(spec)
        assert universe.manager.unit(UNIT)["loaded"]["host.crt"] == "new"
        assert not universe.apply(spec).changed

    def test_a_debt_of_a_failed_way_back_outlives_a_run_without_any_change(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe, "BREAK")
        with pytest.raises(PutBackFailed):
            universe.apply(demo(universe, files=(universe.file("main.conf", b"two"),)))
        with pytest.raises(PutBackFailed):
            universe.apply(demo(universe, watch=()))
        assert (universe.state / "demo/journal.json").exists()
        renew(universe)
        assert universe.apply(demo(universe)).recovered == "undone"
        assert universe.manager.unit(UNIT)["loaded"] == {"host.crt": "new", "main.conf": "one"}

    def test_the_checkers_judge_it_before_any_service_reads_it(self, universe: Universe) -> None:
        check = (("sh", "-c", f"! grep BAD {universe.etc}/host.crt"),)
        universe.apply(demo(universe, check=check))
        renew(universe, "BAD")
        for verb in ("plan", "apply"):
            with pytest.raises(Rejected, match="BAD"):
                getattr(universe.engine(demo(universe, check=check)), verb)()
        assert (log(universe), recorded(universe)) == (["start"], digest("old"))

    def test_a_set_that_is_put_back_leaves_no_record_either(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)
        broken = demo(universe, files=(universe.file("main.conf", b"BREAK"),))
        with pytest.raises(ConfigSetError, match="The previous set is back in place"):
            universe.apply(broken)
        assert recorded(universe) == digest("old")
        assert universe.apply(demo(universe)).action == "reload"

    def test_what_has_no_content_is_listed_with_all_other_problems(self, universe: Universe) -> None:
        os.mkfifo(universe.etc / "pipe")
        (universe.etc / "loop").symlink_to("loop")
        (universe.etc / "directory").mkdir()
        names = ("directory", "pipe", "loop")
        watch = tuple(WatchSpec(universe.path(name)) for name in names)
        files = (universe.file("host.crt/x", b""),)
        with pytest.raises(Problems) as error:
            universe.apply(demo(universe, watch=watch, files=files))
        assert any(universe.path("host.crt") in problem for problem in error.value.problems)
        for name in names:
            assert f"{universe.path(name)}: cannot be watched" in str(error.value)


class TestKills:
    @pytest.mark.parametrize("step", ["backup", "swapped", "act", "verify", "commit", "manifest", "forget"])
    def test_wherever_a_run_is_killed_the_service_gets_what_it_is_owed(
        self, universe: Universe, step: str
    ) -> None:
        universe.apply(demo(universe))
        renew(universe)
        assert universe.apply_and_die(demo(universe), step)
        universe.apply(demo(universe))
        assert universe.manager.unit(UNIT)["loaded"]["host.crt"] == "new"
        assert recorded(universe) == digest("new")
        assert not universe.apply(demo(universe)).changed

    def test_a_kill_before_the_reload_leads_to_exactly_one(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)
        assert universe.apply_and_die(demo(universe), "act")
        assert universe.apply(demo(universe)).recovered == "finished"
        assert log(universe) == ["start", "reload"]


class TestTelling:
    def test_the_plan_equals_the_run_and_changes_nothing(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe)
        before = (universe.snapshot(), universe.services(), universe.state_files())
        plan = universe.engine(demo(universe)).plan()
        assert (universe.snapshot(), universe.services(), universe.state_files()) == before
        assert recorded(universe) == digest("old")
        outcome = universe.apply(demo(universe))
        assert (plan.changed, plan.units, plan.renewals) == (True, {UNIT: "reload"}, outcome.renewals)

    def test_an_unrecorded_file_is_no_plan(self, universe: Universe) -> None:
        universe.apply(demo(universe, watch=()))
        plan = universe.engine(demo(universe)).plan()
        assert (plan.changed, plan.renewals, recorded(universe)) == (False, [], "nothing")

    def test_the_diff_names_the_file_and_nothing_of_its_content(self, universe: Universe) -> None:
        universe.apply(demo(universe))
        renew(universe, "new content")
        spec = demo(universe)
        outcome = universe.apply(spec)
        result = to_result(outcome, masker_for(spec, outcome))
        assert result["diff"] == [{"prepared": f"{universe.path('host.crt')}: watched file changed\n"}]
        assert digest("new content") not in json.dumps(result)

    def test_its_name_is_told_also_when_a_secret_file_holds_it(self, universe: Universe) -> None:
        path = universe.path("host.crt")
        spec = demo(universe, files=(universe.file("keys", path.encode(), secret=True),))
        universe.apply(spec)
        renew(universe)
        outcome = universe.apply(spec)
        assert path in json.dumps(to_result(outcome, masker_for(spec, outcome)))


def arguments(*watch: Any, **more: Any) -> dict[str, Any]:
    result = ArgumentSpecValidator(ARGUMENT_SPEC).validate({"name": "demo", "watch": list(watch), **more})
    assert not result.error_messages
    return dict(result.validated_parameters)


class TestArguments:
    def test_an_entry_is_a_path_or_more(self, tmp_path: Path) -> None:
        given = arguments("/a", {"path": "/b", "on_change": "restart"}, {"path": "/c"})
        assert not list(find_problems(given))
        assert to_spec(given).watch == (WatchSpec("/a"), WatchSpec("/b", "restart"), WatchSpec("/c"))

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            ("a", "watch[0] (a).path: must be absolute"),
            ("/a/../b", "must be written plainly, as /b"),
            ("/file", "watch[0] (/file).path: is already used by files[0] (/file)"),
            ("/dir", "is already used by directories[0]"),
            (
                {"path": "/a", "on_change": "none"},
                "watch[0] (/a).on_change: 'none' must be one of reload, restart",
            ),
            ({"path": "/a", "onchange": "reload"}, "watch[0] (/a): must be a path, or path and on_change"),
            ({"on_change": "reload"}, "watch[0]: must be a path, or path and on_change"),
            (7, "watch[0] (7): must be a path, or path and on_change"),
        ],
    )
    def test_each_mistake_is_found_alone(self, entry: Any, problem: str) -> None:
        own = {"files": [{"path": "/file", "content": ""}], "directories": [{"path": "/dir"}]}
        problems = list(find_problems(arguments(entry, **own)))
        assert len(problems) == 1 and problem in problems[0]

    def test_a_path_is_watched_once(self) -> None:
        problems = list(find_problems(arguments("/a", {"path": "/a"})))
        assert problems == ["watch[1] (/a).path: is already used by watch[0] (/a)"]

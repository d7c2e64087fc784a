# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sets, failures and kills: whatever happens to a run, the next one ends as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import ConfigSetError
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.model import (
    STEPS,
    Outcome,
    SetSpec,
    WatchSpec,
)
from ansible_collections.techsaas.hardened.tests.unit.plugins.module_utils.config_set_fakes import (
    Universe,
    at_step,
    contents,
    raise_error,
    service,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

FILES = ["main.conf", "conf.d/a.conf", "conf.d/b.conf", "new/deep/c.conf", "new/d.conf"]
LINKS = ["enabled/a", "conf.d/link"]
STRANGERS = ["conf.d/stranger.conf", "conf.d/sub/stranger.conf", "enabled/old", "new/stranger"]
WATCHED = "renewed.crt"  # lies beside the set, which does not own it
REJECTED, BREAKING = "REJECT", "BREAK"
AFTER_COMMIT = ("manifest", "previous", "forget")


@dataclass(frozen=True)
class Run:
    """One run of the set, described without absolute paths so that it fits any universe."""

    files: dict[str, tuple[str | None, int]]
    links: dict[str, str]
    purge: bool
    on_change: str
    enabled: bool | None
    state: str
    watched: str | None  # what somebody else writes into the watched file before the run
    strangers: tuple[str, ...]  # what somebody else puts there before the run
    stop_first: bool  # somebody stops the unit before the run
    mishap: str  # none | raise | kill
    step: int

    def spec(self, universe: Universe) -> SetSpec:
        rejecting = f"! grep -rqs {REJECTED} {universe.etc}"
        # Starting a checker for every run would be most of the test's time.
        judged = any(content == REJECTED for content, _mode in self.files.values())
        return SetSpec(
            name="demo",
            files=tuple(
                universe.file(name, None if content is None else content.encode(), mode)
                for name, (content, mode) in self.files.items()
            ),
            directories=(universe.directory("conf.d", purge=self.purge, exclude=("kept*",)),),
            links=tuple(universe.link(name, target) for name, target in self.links.items()),
            watch=(WatchSpec(universe.path(WATCHED)),),
            check=(("sh", "-c", rejecting),) if judged else (),
            services=(service(self.on_change, enabled=self.enabled, state=self.state),),
        )

    def prepare(self, universe: Universe) -> None:
        for name in self.strangers:
            path = universe.etc / name
            if not path.parent.exists() or path.exists():
                continue
            path.write_text("stranger")
        if self.watched is None:
            (universe.etc / WATCHED).unlink(missing_ok=True)
        else:
            (universe.etc / WATCHED).write_text(self.watched)
        if self.stop_first:
            universe.manager.act("stop", "demo.service")


CONTENTS = st.sampled_from(["one", "two", "three", "one", "two", "three", None, REJECTED, BREAKING])
RUNS = st.builds(
    Run,
    files=st.dictionaries(
        st.sampled_from(FILES), st.tuples(CONTENTS, st.sampled_from([0o644, 0o600, 0o755]))
    ),
    links=st.dictionaries(st.sampled_from(LINKS), st.sampled_from(["../main.conf", "nowhere"])),
    purge=st.booleans(),
    on_change=st.sampled_from(["reload", "restart"]),
    enabled=st.sampled_from([None, True, False]),
    state=st.sampled_from(["started", "started", "started", "stopped", "unmanaged"]),
    watched=st.sampled_from(["old", "old", "new", None]),
    strangers=st.lists(st.sampled_from(STRANGERS), max_size=2).map(tuple),
    stop_first=st.booleans(),
    mishap=st.sampled_from(["none", "raise", "kill", "kill"]),
    step=st.integers(0, 30),
)


@contextmanager
def universes(count: int) -> Iterator[list[Universe]]:
    made = [Universe() for _each in range(count)]
    try:
        yield made
    finally:
        for universe in made:
            universe.close()


def attempt(universe: Universe, spec: SetSpec, **more: Any) -> Outcome | None:
    with suppress(ConfigSetError):
        return universe.apply(spec, **more)
    return None


def assert_consistent(universe: Universe, succeeded: bool) -> None:
    """What has to hold after every completed run, failed or not."""
    leftovers = [name for name in universe.snapshot() if ".config_set-" in name]
    assert not leftovers
    for name, unit in services(universe).items():
        if unit["running"]:
            expected = {"loaded": without_strangers(contents(universe.etc))}
            if not succeeded:  # the next run takes over what is watched
                without_watched({"wanted": expected, name: unit})
            assert unit["loaded"] == expected["loaded"], name
    strange = [n for n in universe.state_files() if "saved-" in n or n.endswith((".new", "journal.json"))]
    assert not strange, strange


def services(universe: Universe) -> dict[str, Any]:
    """Without strangers' files: whether a service has noticed them depends on when it last looked."""
    units = universe.services()
    for unit in units.values():
        unit["loaded"] = without_strangers(unit["loaded"] or {})
    return units


def without_watched(units: dict[str, Any]) -> dict[str, Any]:
    for unit in units.values():
        unit["loaded"].pop(WATCHED, None)
    return units


def without_strangers(tree: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in tree.items() if name not in STRANGERS}


@settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.lists(RUNS, min_size=1, max_size=4))
def test_a_disturbed_run_and_its_repetition_end_like_an_undisturbed_run(runs: list[Run]) -> None:
    with universes(2) as (disturbed, calm):
        for run in runs:
            run.prepare(disturbed)
            run.prepare(calm)
            spec = run.spec(disturbed)
            before = (disturbed.snapshot(), without_watched(services(disturbed)))
            if run.mishap == "kill":
                event("killed" if disturbed.apply_and_die(spec, run.step) else "not reached")
            elif run.mishap == "raise":
                steps = disturb_with_error(disturbed, spec, run.step)
                event(f"raised at {steps[-1]}")
                if steps[-1] not in ("end", *AFTER_COMMIT) and "undo" not in steps:
                    # Once read, what others own cannot be made unread.
                    assert (disturbed.snapshot(), without_watched(services(disturbed))) == before
            again = attempt(disturbed, spec)
            undisturbed = attempt(calm, run.spec(calm))
            assert (again is None) == (undisturbed is None)
            assert disturbed.snapshot() == calm.snapshot()
            assert services(disturbed) == services(calm)
            if again is not None:
                third = disturbed.apply(spec)
                assert (third.changed, third.changes, third.recovered) == (False, [], "none")
            assert_consistent(disturbed, succeeded=again is not None)


def disturb_with_error(universe: Universe, spec: SetSpec, number: int) -> list[str]:
    """Apply with an error at one step; the steps up to it, or to the end when the run ended before."""
    seen: list[str] = []
    injected = at_step(number, raise_error)

    def observe(step: str, subject: str) -> None:
        assert step in STEPS
        seen.append(step)
        injected(step, subject)

    with suppress(ConfigSetError, OSError):
        universe.apply(spec, observe)
    return seen[: number + 1] if len(seen) > number else ["end"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces secrets while they are in use: one state machine, whose state lies beside the secret in its backend.

idle -> pending -> switching -> committed -> overlap -> retiring -> idle. The new value is durable before anybody gets it, and the same
one is tried again until it is in use: there are never more than two valid values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.techsaas.hardened.plugins.module_utils import secret_masking, secret_rotation
from ansible_collections.techsaas.hardened.plugins.module_utils.secret_fingerprint import fingerprint

from .secret_backends.base import Backend, Name, SecretProblem, utc
from .secret_generator import KEY, exclusively, existing, generate, new_key, repair, verified_key
from .secret_records import records
from .secret_registry import Registry

STATES = ("idle", "pending", "switching", "committed", "overlap", "retiring")
EXPOSURE = "exposure"
# No secret of the backend: hosts make their own keys, and the environment's authority signs again.
CERTIFICATE = "certificate"
# What each step does to a secret in which state; in any other it has been done already.
STEPS = {
    "begun": ("idle", "overlap"),
    "switching": ("pending",),
    "committed": ("switching",),
    "settled": ("committed",),
    "retiring": ("overlap",),
    "retired": ("retiring",),
    "withdrawn": ("switching",),
    "abandoned": ("pending",),
}
_SUFFIX = "_rotation"


@dataclass(frozen=True)
class Progress:
    """How far the rotation of one secret is: kept in the backend, because it holds the other valid value."""

    state: str = "idle"
    generation: int = 0
    reason: str = ""
    # When the new value was made, and until when the one before it is accepted (UTC, ISO 8601).
    created: str = ""
    until: str = ""
    pending: str = field(default="", repr=False)
    previous: str = field(default="", repr=False)

    @property
    def is_under_way(self) -> bool:
        return self.state not in ("idle", "overlap")

    def is_over(self, now: datetime) -> bool:
        """Whether nobody may use the value of before any longer."""
        end = secret_rotation.moment(self.until)
        return self.state == "overlap" and end is not None and end <= now


@dataclass(frozen=True)
class Subject:
    """A secret as the inventory uses it: the variable, its name in the backend, and how it is replaced."""

    variable: str
    name: Name
    class_name: str
    # See meta/rotation.yml.
    kind: str
    format: str = "base64"


@dataclass(frozen=True)
class Selection:
    """What the operator asks for."""

    secrets: Sequence[str] = ()
    class_name: str = ""
    overdue: bool = False
    retire: bool = False
    abandon: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """What is to be done about one secret, and why."""

    variable: str
    name: str
    class_name: str
    kind: str
    action: str
    state: str
    why: str
    status: str

    def public(self) -> dict[str, str]:
        return {("class" if key == "class_name" else key): value for key, value in asdict(self).items()}


def beside(name: Name) -> Name:
    """Where the progress of a secret's rotation is kept."""
    return Name(name.path, name.key + _SUFFIX) if name.key else Name(name.path + _SUFFIX)


def progress(backend: Backend, name: Name) -> Progress:
    """How far the rotation of a secret is; the idle state where it was never rotated."""
    kept = existing(backend, beside(name))
    if kept is None:
        return Progress()
    try:
        found = Progress(**json.loads(kept.value))
    except (TypeError, ValueError):
        found = Progress(state="")
    if found.state not in STATES:
        raise SecretProblem(
            "ROTATION",
            f"{beside(name)} in {backend.place(name)} is not what a rotation has written",
            "restore it from the copy or version before; without it the login in use is not known",
        )
    for value in (found.pending, found.previous):
        secret_masking.register(value)
    return found


def value_for(backend: Backend, name: Name, is_candidate: bool) -> str | None:
    """The value that a release under way is made with; None where that is the current one."""
    found = progress(backend, name) if is_candidate else Progress()
    return found.pending if found.state in ("pending", "switching") else None


def view(backend: Backend, name: Name, is_candidate: bool) -> dict[str, Any]:
    """What a role has to know beside the value itself.

    :returns: ``generation`` (how often it was rotated), ``fallbacks`` (values that are accepted beside the one in use), ``settled`` (the
        current value, while another is tried out), ``accepted`` (keyed fingerprints of all values that are valid, the one in use first;
        empty without a registry).
    """
    try:
        secret = existing(backend, name)
    except SecretProblem as problem:
        # Who cannot open the vault file has no value from it either, and an inventory that needs one says so itself.
        if problem.problem_code != "VAULT_PASSWORD":
            raise
        secret = None
    if secret is None:
        return never_rotated()
    found = progress(backend, name)
    used, fallbacks, generation, settled = secret.value, [], found.generation, ""
    if found.state in ("pending", "switching"):
        fallbacks = [found.pending]
        if is_candidate:
            used, generation, settled = found.pending, generation + 1, secret.value
            fallbacks = [] if found.reason == EXPOSURE else [secret.value]
    elif found.state in ("committed", "overlap"):
        fallbacks = [found.previous] if found.previous else []
    key = existing(backend, KEY)
    accepted = [fingerprint(value, key.value) for value in (used, *fallbacks)] if key else []
    return {"generation": generation, "fallbacks": fallbacks, "settled": settled, "accepted": accepted}


def never_rotated() -> dict[str, Any]:
    """The view of a secret that the backend does not have."""
    return {"generation": 0, "fallbacks": [], "settled": "", "accepted": []}


def _nothing(_step: str) -> None:
    pass


@dataclass
class Rotator:
    """Plans and records; what the hosts need meanwhile is the playbook's matter."""

    backend: Backend
    registry_path: str
    subjects: Sequence[Subject]
    policy: Mapping[str, Any]
    overlaps: Mapping[str, timedelta]
    now: datetime
    lock_seconds: float = 30.0
    # Called with (old, new) for a secret of kind local, before the backend has the new one; may be called again.
    apply_local: Callable[[Subject, str, str], object] | None = None
    observe: Callable[[str], None] = _nothing

    def plan(self, wanted: Selection) -> list[Row]:
        """What is to be done, for every secret that there is; or all reasons against it in one problem."""
        self._check_selection(wanted)
        statuses = self._statuses()
        rows = [self._row(subject, statuses[subject.variable], wanted) for subject in self._present()]
        refused = [f"{row.variable}: {row.why}" for row in rows if row.action == "refused"]
        # Of a class, what can be done is done; a class of which nothing can be is a refusal.
        by_hand = [f"{row.variable}: {row.why}" for row in rows if row.action == "by hand"]
        if by_hand and all(row.action in ("none", "by hand") for row in rows):
            refused += by_hand
        if refused:
            raise SecretProblem(
                "ROTATION_REFUSED", "; ".join(refused), "nothing was changed; see docs/rotation.md"
            )
        return rows

    def step(self, state: str, variables: Iterable[str], reason: str = "") -> list[str]:
        """Brings secrets one step further; returns those that were not there yet."""
        chosen = [subject for subject in self.subjects if subject.variable in set(variables)]
        with exclusively(self.registry_path, self.lock_seconds):
            registry = Registry(self.registry_path)
            key = verified_key(self.backend, registry) or new_key(self.backend)
            if repair(self.backend, registry, key):
                registry.save()
            return [one.variable for one in chosen if self._advance(state, one, registry, key, reason)]

    def _advance(self, step: str, subject: Subject, registry: Registry, key: str, reason: str) -> bool:
        found = progress(self.backend, subject.name)
        is_third = step == "begun" and found.state == "overlap" and reason != EXPOSURE
        if found.state not in STEPS[step] or is_third:
            return False
        if step == "committed":
            self._commit(subject, found, registry, key)
        else:
            self._keep(subject, self._after(step, subject, found, reason))
        self.observe(f"{step} {subject.variable}")
        return True

    def _after(self, step: str, subject: Subject, found: Progress, reason: str) -> Progress:
        done = Progress(generation=found.generation)
        if step == "begun":
            return Progress(
                "pending",
                found.generation,
                reason,
                created=utc(self.now) or "",
                pending=generate(subject.format, 64),
                previous=self.backend.read(subject.name).value,
            )
        if step == "settled":
            return replace(found, state="overlap") if found.previous else done
        if step in ("retiring", "withdrawn", "switching"):
            states = {"retiring": "retiring", "withdrawn": "pending", "switching": "switching"}
            return replace(found, state=states[step], previous="" if step == "retiring" else found.previous)
        return done

    def _commit(self, subject: Subject, found: Progress, registry: Registry, key: str) -> None:
        """The new value becomes the current one. Whatever is repeated after a kill finds the same values."""
        current = self.backend.read(subject.name).value
        if current not in (found.previous, found.pending):
            raise SecretProblem(
                "CONFLICT",
                f"{subject.name} in {self.backend.place(subject.name)} was changed by somebody else while it was rotated",
                "put the value back that is in use, or end this rotation with -e abandon=true",
            )
        if self.apply_local is not None and subject.kind == "local":
            self.apply_local(subject, found.previous, found.pending)
            self.observe(f"applied {subject.variable}")
        name = str(subject.name)
        entry = {
            "class": subject.class_name,
            "version": registry.next_version(name),
            "created": found.created,
            "fingerprint": fingerprint(found.pending, key),
        }
        registry.intend(name, entry, key)
        registry.save()
        self.observe(f"intended {subject.variable}")
        exposed = found.reason == EXPOSURE or subject.kind == "local"
        end = self.now + self.overlaps.get(subject.class_name, timedelta(days=1))
        after = replace(
            found,
            state="committed",
            generation=found.generation + 1,
            pending="",
            previous="" if exposed else found.previous,
            until="" if exposed else utc(end) or "",
        )
        written = self.backend.write(
            {subject.name: found.pending, beside(subject.name): json.dumps(asdict(after))}
        )
        self.observe(f"written {subject.variable}")
        secret = written[subject.name]
        entry.update(version=secret.version or entry["version"], created=secret.created or entry["created"])
        registry.put(name, entry, key)
        registry.pending.pop(name, None)
        registry.save()

    def _keep(self, subject: Subject, found: Progress) -> None:
        self.backend.write({beside(subject.name): json.dumps(asdict(found))})

    def _present(self) -> list[Subject]:
        return [one for one in self.subjects if existing(self.backend, one.name) is not None]

    def _statuses(self) -> dict[str, dict[str, Any]]:
        present = self._present()
        known = records(self.backend, self.registry_path, [one.name for one in present], with_value=False)
        rows = [
            {**record, "name": subject.variable, "class": subject.class_name}
            for subject, record in zip(present, known)
        ]
        found = secret_rotation.statuses(rows, self.policy, self.now, secret_rotation.DUE_WITHIN_DAYS)
        return {str(row["name"]): row for row in found}

    def _row(self, subject: Subject, status: Mapping[str, Any], wanted: Selection) -> Row:
        found = progress(self.backend, subject.name)
        action, why = self._decide(subject, found, status, wanted)
        return Row(
            subject.variable,
            str(subject.name),
            subject.class_name,
            subject.kind,
            action,
            found.state,
            why,
            str(status["status"]),
        )

    def _decide(
        self, subject: Subject, found: Progress, status: Mapping[str, Any], wanted: Selection
    ) -> tuple[str, str]:
        named = subject.variable in wanted.secrets or str(subject.name) in wanted.secrets
        asked = named or wanted.class_name == subject.class_name
        exposed = wanted.reason == EXPOSURE
        if wanted.abandon and asked and found.state in ("pending", "switching"):
            return "abandon", "the new value is dropped, and the current one stays"
        if found.is_under_way:
            return "resume", f"a rotation that began at {found.created} is at the step {found.state}"
        if found.is_over(self.now) or (asked and wanted.retire and found.state == "overlap"):
            over = "accepted until" if found.is_over(self.now) else "ends now, before"
            return "retire", f"the value before the current one: {over} {found.until}"
        if wanted.retire or wanted.abandon:
            return "none", "nothing of it is under way"
        if asked and subject.kind == "fixed":
            return "by hand", "it cannot be replaced in place; docs/rotation.md says how it is done"
        if asked and subject.kind == "issued":
            return "by hand", (
                f"it is issued by somebody else; put the new value into {self.backend.place(subject.name)} and run deploy.yml"
            )
        if asked and found.state == "overlap" and not exposed:
            return "refused", (
                f"the value before the current one is accepted until {found.until}, and a third one would be valid; wait, or end that "
                "with -e retire=true"
            )
        if status["status"] == "FUTURE":
            refused = "its creation lies in the future; correct the controller's clock, or the registry"
            return ("refused" if asked or wanted.overdue else "none"), refused
        if asked:
            return "rotate", wanted.reason or "asked for"
        if (
            wanted.overdue
            and status["status"] in ("OVERDUE", "UNCHANGED")
            and subject.kind
            not in (
                "issued",
                "fixed",
            )
        ):
            return (
                "rotate",
                f"in use for {status['age_days']} days, {-int(status['due_in_days'] or 0)} too many",
            )
        return "none", _words(status)

    def _check_selection(self, wanted: Selection) -> None:
        problems = []
        known = {one.variable for one in self.subjects} | {str(one.name) for one in self.subjects}
        classes = {one.class_name for one in self.subjects} | {CERTIFICATE}
        unknown = sorted(set(wanted.secrets) - known)
        if unknown:
            problems.append(f"no such secret: {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        elif gone := sorted(set(wanted.secrets) - self._names_present()):
            problems.append(f"not in the backend: {', '.join(gone)}")
        if wanted.class_name and wanted.class_name not in classes:
            problems.append(f"no such class: {wanted.class_name}; there are: {', '.join(sorted(classes))}")
        of_class = {one.variable for one in self.subjects if one.class_name == wanted.class_name}
        if of_class and not self._names_present() & of_class:
            problems.append(f"class {wanted.class_name}: not in the backend: {', '.join(sorted(of_class))}")
        for name, overlap in self.overlaps.items():
            days = self.policy.get(name)
            if days is not None and overlap >= timedelta(days=int(days)):
                problems.append(f"hardened_rotation_overlap of {name} is not shorter than its {days} days")
        if problems:
            raise SecretProblem(
                "ROTATION_REFUSED", "; ".join(problems), "nothing was changed; see docs/rotation.md"
            )

    def _names_present(self) -> set[str]:
        return {name for one in self._present() for name in (one.variable, str(one.name))}


def _words(status: Mapping[str, Any]) -> str:
    if status["status"] == "UNKNOWN":
        return "its age is not known; secret_generate registers it, or -e secret= replaces it"
    if status["due_in_days"] is None:
        return str(status["status"])
    return f"in use for {status['age_days']} days, due in {status['due_in_days']}"


def agenda(rows: Sequence[Row], wanted: Selection) -> dict[str, Any]:
    """What the playbook has to do, from the plan: names of variables by step, and which consumers are concerned."""
    switch = [
        row for row in rows if row.action == "rotate" or (row.action == "resume" and row.state != "retiring")
    ]
    retire = [row for row in rows if row.action == "retire" or row.state == "retiring"]
    abandon = [row for row in rows if row.action == "abandon"]
    exposed = wanted.reason == EXPOSURE
    fresh = [row for row in switch if row.action == "rotate" or row.state == "pending"]
    released = [row for row in switch if row.kind != "local" and row.state != "committed"]
    # A secret that others verify by has to be known everywhere before anybody uses it.
    staged = [row for row in fresh if row.kind == "signed" and not exposed]
    given = [row for row in retire if row.kind in ("signed", "accepted")] + [
        row for row in abandon if row.kind != "local"
    ]
    return {
        "begin": [row.variable for row in rows if row.action == "rotate"],
        "switch": [row.variable for row in switch],
        "retire": [row.variable for row in retire],
        "abandon": [row.variable for row in abandon],
        "candidates": [row.name for row in released],
        "stage": bool(staged or given),
        "release": bool(released),
        "logins": any(row.kind == "login" for row in [*switch, *retire, *abandon]),
        "certificates": wanted.class_name == CERTIFICATE and not (wanted.retire or wanted.abandon),
        "needed": bool(switch or retire or abandon),
    }

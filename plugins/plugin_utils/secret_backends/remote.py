# SPDX-License-Identifier: GPL-3.0-or-later
"""What backends behind a network have in common: one session a process, a deadline, and an answer asked for once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Callable, NamedTuple, TypeVar

from .base import Name, Secret, SecretProblem, key_missing, not_found, text_of
from .settings import Settings

T = TypeVar("T")

_REMEMBER_SECONDS = 30.0
# A backend that failed like this fails like this for every name: a fleet must not wait for each anew.
_OF_THE_BACKEND = ("UNREACHABLE", "DEADLINE", "TLS")


class Fetched(NamedTuple):
    """All that the backend keeps under one path."""

    content: Any
    version: str | None
    created: str | None


class RemoteBackend:
    """Subclasses say how to connect, fetch, and store, and what an error of their library means."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pid = 0
        self._client: Any = None
        self._fetched: dict[str, tuple[float, Fetched | SecretProblem]] = {}
        self._failed: tuple[float, SecretProblem] | None = None

    def read(self, name: Name) -> Secret:
        path = self.full_path(name)
        self._after_fork()
        at, known = self._fetched.get(path, (0.0, None))
        if known is None or time.monotonic() - at > _REMEMBER_SECONDS:
            try:
                known = self.call(partial(self.fetch, name))
            except SecretProblem as problem:
                known = problem
            self._fetched[path] = (time.monotonic(), known)
        if isinstance(known, SecretProblem):
            raise known.again()
        return Secret(self.select(name, known), known.version, known.created)

    def write(self, values: Mapping[Name, str]) -> dict[Name, Secret]:
        written = {}
        for name, value in values.items():
            self._fetched.pop(self.full_path(name), None)
            fetched = self.call(partial(self.store, name, value))
            written[name] = Secret(value, fetched.version, fetched.created)
        return written

    def full_path(self, name: Name) -> str:
        return f"{self.settings.path}/{name.path}" if self.settings.path else name.path

    def call(self, operation: Callable[[], T]) -> T:
        """The operation's result within the deadline; its failure by class, with nothing of the library's own words."""
        self._after_fork()
        if self._failed and time.monotonic() - self._failed[0] < _REMEMBER_SECONDS:
            raise self._failed[1].again()
        outcome: list[T] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                outcome.append(operation())
            except BaseException as error:
                failure.append(error)

        # The libraries' own time limits start anew with every byte.
        thread = threading.Thread(target=run, daemon=True, name="secret-backend")
        thread.start()
        thread.join(self.settings.deadline)
        if outcome:
            return outcome[0]
        problem = self._classify(failure[0]) if failure else self._too_slow()
        if self._client is None or problem.problem_code in _OF_THE_BACKEND:
            self._client = None
            self._failed = (time.monotonic(), problem)
        # Outside of any except block, so that the library's error does not come along.
        raise problem

    def client(self) -> Any:
        if self._client is None:
            self._client = self.connect()
        return self._client

    def select(self, name: Name, fetched: Fetched) -> str:
        """The value that the name stands for; overridden where a path holds a text by itself."""
        key = name.key or self.settings.field
        if not isinstance(fetched.content, Mapping) or key not in fetched.content:
            raise key_missing(Name(name.path, key), self.place(name))
        return text_of(fetched.content[key], name)

    def missing(self, name: Name) -> SecretProblem:
        return not_found(f"the secret '{name.path}'", self.place(name))

    def place(self, name: Name) -> str:
        raise NotImplementedError

    def connect(self) -> Any:
        raise NotImplementedError

    def fetch(self, name: Name) -> Fetched:
        raise NotImplementedError

    def store(self, name: Name, value: str) -> Fetched:
        raise NotImplementedError

    def problem_of(self, error: BaseException) -> SecretProblem:
        raise NotImplementedError

    def unreachable(self, why: str) -> SecretProblem:
        return SecretProblem(
            "UNREACHABLE",
            f"the secrets backend {self.settings.backend} at {self.address()} {why}",
            "check its address, that it runs, and that a firewall or proxy lets the controller through",
        )

    def untrusted(self, error: BaseException) -> SecretProblem:
        text = str(error)
        why = "its certificate is not by a known authority or has ended"
        if "mismatch" in text or "doesn't match" in text:
            why = "its certificate is for another name"
        elif "CERTIFICATE_VERIFY_FAILED" not in text:
            why = "it does not speak TLS as it should"
        return SecretProblem(
            "TLS",
            f"the secrets backend {self.settings.backend} at {self.address()} is not trusted: {why}",
            "correct its certificate, or set hardened_secrets_ca_file to the certificate of its authority",
        )

    def address(self) -> str:
        return self.settings.url

    def _classify(self, error: BaseException) -> SecretProblem:
        if isinstance(error, SecretProblem):
            return error.again()
        try:
            return self.problem_of(error)
        except Exception:
            return self.unreachable(f"failed ({type(error).__name__})")

    def _too_slow(self) -> SecretProblem:
        return SecretProblem(
            "DEADLINE",
            f"the secrets backend {self.settings.backend} at {self.address()} did not answer within "
            f"{self.settings.deadline:g} s",
            "check its load and the network, or raise hardened_secrets_deadline",
        )

    def _after_fork(self) -> None:
        # A connection that two processes speak on garbles both; what was fetched may be older than this task.
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._client = None
            self._failed = None
            self._fetched = {}

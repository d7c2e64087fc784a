# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks while everything is watched, and tells what was found where it must not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.techsaas.hardened.tests.security.leaks import controller as controllers
from ansible_collections.techsaas.hardened.tests.security.leaks import trace
from ansible_collections.techsaas.hardened.tests.security.leaks.allowed import allowed
from ansible_collections.techsaas.hardened.tests.security.leaks.controller import Controller, Record
from ansible_collections.techsaas.hardened.tests.security.leaks.findings import Finding
from ansible_collections.techsaas.hardened.tests.security.leaks.host import DOCKER_PATHS, Host
from ansible_collections.techsaas.hardened.tests.security.leaks.sampler import Sampler
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site


class Watch:
    """One controller and one host. Everything before a run's end is looked at after it, and belongs to it."""

    def __init__(self, site: Site, host: Host, controller: Controller) -> None:
        self.site = site
        self.host = host
        self.controller = controller
        self.looked: Counter[str] = Counter()
        self.runs = 0
        self._host_trace = trace.Attached(site.root / f"host-trace-{host.container}", host.ssh_servers())
        # The shared connection is made now, so that it is not part of the trace of any run.
        self.play("adhoc", ["all", *self._inventory(), "-m", "ansible.builtin.ping"], traced=False)

    def playbook(
        self, playbook: Path | str, *arguments: str, password: Path | None = None, killed_after: int = 0
    ) -> tuple[Record, list[Finding]]:
        """One run as talkative as can be, and all that it left."""
        sampler = Sampler(self.site.search)
        sampler.start()
        words = [*self._inventory(password), "-vvv", "--diff", *arguments, str(playbook)]
        try:
            record = self.play("playbook", words, killed_after=killed_after)
        finally:
            findings = sampler.stop()
        self.looked += sampler.looked
        self.runs += 1
        for sink, place, content in record.contents:
            findings += self._search(sink, place, content)
        return record, findings + self._host_findings()

    def play(
        self, program: str, arguments: Sequence[str], traced: bool = True, killed_after: int = 0
    ) -> Record:
        return controllers.run(
            self.controller, self.site.root / "run", program, arguments, traced, killed_after
        )

    def stop(self) -> None:
        self._host_trace.stop()

    def _inventory(self, password: Path | None = None) -> list[str]:
        return ["-i", str(self.site.inventory), "--vault-password-file", str(password or self.site.password)]

    def _search(self, sink: str, place: str, content: bytes) -> list[Finding]:
        self.looked[sink] += len(content)
        return [Finding(sink, place, hit.canary, hit.form) for hit in self.site.search.find(content)]

    def _host_findings(self) -> list[Finding]:
        findings: list[Finding] = []
        written, started = trace.digest(self._host_trace.new())
        for path, content in written.items():
            findings += self._search("host: files written", path, content)
        for path, content in started:
            findings += self._search("host: programs started", path, content)
        for sink, text in self.host.texts():
            findings += self._search(sink, "", text)
        return findings + self._files()

    def _files(self) -> list[Finding]:
        changed, matches = self.host.files(self.site.search)
        self.looked["host: files left"] += changed
        findings = []
        for match in matches:
            hits = self.site.search.find(match.text)
            attributes = self.host.attributes(match.path) if hits else ""
            for hit in hits:
                if not allowed(match.path, attributes, hit.canary):
                    sink = "host: docker files" if match.path.startswith(DOCKER_PATHS) else "host: files left"
                    findings.append(Finding(sink, f"{match.path} {attributes}".strip(), hit.canary, hit.form))
        return findings

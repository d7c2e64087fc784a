# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests' course: the control on a host that is thrown away, then the runs on a fresh one with fresh secrets."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.techsaas.hardened.tests.security.leaks import findings
from ansible_collections.techsaas.hardened.tests.security.leaks.controller import Controller, Record
from ansible_collections.techsaas.hardened.tests.security.leaks.findings import Finding
from ansible_collections.techsaas.hardened.tests.security.leaks.host import Host
from ansible_collections.techsaas.hardened.tests.security.leaks.run import Run
from ansible_collections.techsaas.hardened.tests.security.leaks.site import Site
from ansible_collections.techsaas.hardened.tests.security.leaks.watch import Watch
from lab import up
from labkit import inventory, paths
from labkit.fleet import Fleet
from labkit.podman import podman, run

FLEET = "leaks"
HOST = "api-1"
CONTROL = paths.CHECKOUT / "molecule/leaks/control.yml"
# Mistakes of the control that are not sinks of their own: forms, and files whose mode or content is wrong.
EXPECTED = {
    "base64 of another secret": ("output", "app_admin_api_key", "base64"),
    "URL-encoded": ("output", "postgres_app_password", "URL"),
    "upper case": ("output", "pki_ca_passphrase", "upper"),
    "compressed": ("host: files left", "app_secret_key", "packed"),
    "allowed place, wrong mode": ("/run/hardened-app/blue/SECRET_KEY 444", "app_secret_key", ""),
    "allowed place of another secret": ("/run/hardened-app/blue/ADMIN_API_KEY 400", "app_secret_key", ""),
}


@dataclass
class Campaign:
    site: Site
    watch: Watch
    docker: bool
    control_findings: list[Finding] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    trusted: bool = False

    @classmethod
    def begin(cls, controller: Controller, full: bool) -> Campaign:
        """With `full`, the control leaks into containers too, for which it has to install an engine."""
        fleet = Fleet.load(FLEET)
        _renew(fleet)
        site = Site(FLEET)
        return cls(site, Watch(site, Host(fleet.container(HOST)), controller), docker=full)

    def control(self) -> None:
        """Leak, look, and start over: what the control left is not to be mistaken for a leak of ours."""
        started = time.monotonic()
        variables = self.site.root / "control.yml"
        variables.write_text(f"control_docker: {str(self.docker).lower()}\n", encoding="ascii")
        record, self.control_findings = self.watch.playbook(CONTROL, "-e", f"@{variables}")
        if "As intended" not in record.output:
            raise AssertionError(f"the control did not reach its end:\n{record.output[-6000:]}")
        self.trusted = not self.unseen()
        self.watch.stop()
        fleet = Fleet.load(FLEET)
        _renew(fleet)
        self.site.refresh()
        self.site.rotate(inventory.SECRETS)
        self.watch = Watch(self.site, Host(fleet.container(HOST)), self.watch.controller)
        self.seconds["control"] = round(time.monotonic() - started)

    def unseen(self) -> list[str]:
        """Sinks and mistakes that the control must have shown, and did not."""
        sinks = [sink for sink in findings.SINKS if self.docker or sink not in findings.DOCKER_SINKS]
        missing = [sink for sink in sinks if not findings.count(sink, self.control_findings)]
        for mistake, (place, canary, form) in EXPECTED.items():
            if not any(
                place in str(f) and f.canary == canary and form in f.form for f in self.control_findings
            ):
                missing.append(mistake)
        return missing

    def carry_out(self, run: Run) -> tuple[Record, list[Finding]]:
        started = time.monotonic()
        if run.rotates:
            self.site.rotate()
        if run.before:
            self.watch.host.run(run.before)
        try:
            record, found = self.watch.playbook(
                *run.words(self.site), password=run.password(self.site), killed_after=run.killed_after
            )
        finally:
            if run.after:
                self.watch.host.run(run.after)
        self.findings += found
        self.seconds[run.name] = round(time.monotonic() - started)
        return record, found

    def summary(self) -> str:
        slow = ", ".join(f"{name} {seconds} s" for name, seconds in self.seconds.items())
        head = f"{self.watch.runs} runs after the control ({slow})"
        lines = [head, findings.table(self.control_findings, self.findings, self.watch.looked)]
        return "\n".join([*lines, findings.listing(self.findings)])

    def end(self) -> None:
        self.watch.stop()
        self.site.remove()


def _renew(fleet: Fleet) -> None:
    """Boot the host anew, whatever it was."""
    podman("rm", "--force", "--volumes", "--time", "2", fleet.container(HOST), check=False)
    for socket in paths.control_sockets(fleet.name).glob("*"):
        # Its host is gone, and the next one is to be greeted by a connection of its own.
        run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "gone"], check=False)
    up(fleet)

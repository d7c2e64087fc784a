#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: updates
short_description: Pending updates of a Debian host, with a way back
version_added: 0.1.0
description:
  - Plans, fetches and installs what apt has to offer for packages that are installed. Nothing is ever removed, configuration files that
    somebody has changed stay as they are, and packages on hold are left alone.
  - Before anything is installed, the archives of both versions are kept in C(/var/lib/hardened-updates), as far as the host's sources or
    apt's cache still have the older one. If an installation fails, the packages of before are installed again at once.
  - C(/var/lib/hardened/updates.json) has what was done last. An installation that was killed is seen there, and finished first.
options:
  state:
    description:
      - V(planned) tells what there is. V(fetched) downloads it, and the way back. V(applied) installs it. V(reverted) installs what was
        there before the last V(applied).
    type: str
    choices: [planned, fetched, applied, reverted]
    required: true
  updates:
    description: Whether only security updates are meant, or all.
    type: str
    choices: [security, all]
    default: security
  hold:
    description: Packages that stay as they are, beside those that C(apt-mark hold) has marked on the host.
    type: list
    elements: str
    default: []
  security_labels:
    description: Labels of package sources that bring security updates, beside Debian's own.
    type: list
    elements: str
    default: []
  refresh:
    description: Whether apt's lists are downloaded first. They are in check mode too, since a plan without them would not be true.
    type: bool
    default: false
  reason:
    description: Why, for the record and the audit trail.
    type: str
    default: ''
  lock_timeout:
    description: Seconds to wait for another process that holds dpkg's lock.
    type: int
    default: 300
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Only apt's lists are downloaded, with O(refresh=true).
  diff_mode:
    support: full
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.stale_services
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: See what there is
  techsaas.hardened.updates:
    state: planned
    refresh: true

- name: Install security updates
  techsaas.hardened.updates:
    state: applied
"""

RETURN = r"""
updates:
  description: What is pending, or was installed, or taken back, and what comes with it.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The package.
      type: str
    before:
      description: Version before; empty for a new package.
      type: str
    after:
      description: Version after.
      type: str
    security:
      description: Whether it is a security update.
      type: bool
held:
  description: Updates that are pending and held back, as in RV(updates).
  returned: always
  type: list
  elements: dict
no_way_back:
  description: Packages whose older version is neither in the sources nor in a cache. Known once they are fetched.
  returned: always
  type: list
  elements: str
reboot_expected:
  description: Packages that want the host to be restarted afterwards.
  returned: always
  type: list
  elements: str
interrupted:
  description: Whether dpkg was interrupted before.
  returned: always
  type: bool
record:
  description: The record of the last installation.
  returned: always
  type: dict
reverted:
  description: After a failure, whether the packages of before are there again.
  returned: failure of an installation
  type: bool
"""

import datetime
import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import apt_updates, records
from ansible_collections.techsaas.hardened.plugins.module_utils.apt_updates import Update
from ansible_collections.techsaas.hardened.plugins.module_utils.package_plan import hints

RECORD = Path("/var/lib/hardened/updates.json")
KEPT = Path("/var/lib/hardened-updates")
CACHE = Path("/var/cache/apt/archives")
_QUIET = {
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    # Debian's needrestart, where it is installed, would restart services in an order of its own.
    "NEEDRESTART_SUSPEND": "1",
}
_KEEP_CONFIGURATION = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Failed(Exception):
    """What went wrong, with apt's own words."""


class Host:
    """Debian's programs on this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        timeout = int(module.params["lock_timeout"])
        self._apt = ["apt-get", "--yes", "--quiet", "-o", f"DPkg::Lock::Timeout={timeout}"]

    def run(self, *command: str, cwd: Path | None = None) -> tuple[int, str]:
        status, output, errors = self.module.run_command(
            list(command), environ_update=_QUIET, cwd=str(cwd) if cwd else None
        )
        return status, f"{output}\n{errors}"

    def ask(self, *command: str) -> str:
        status, output, errors = self.module.run_command(list(command), environ_update=_QUIET)
        if status:
            raise Failed(f"{' '.join(command[:3])}: {errors.strip() or output.strip()}")
        return str(output)

    def apt(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str]:
        return self.run(*self._apt, *arguments, cwd=cwd)

    def installed(self) -> dict[str, tuple[str, str, bool]]:
        """Version, architecture, and whether on hold, by name, with the architecture in the name where it is not the host's own."""
        native = self.ask("dpkg", "--print-architecture").strip()
        listed = self.ask(
            "dpkg-query",
            "-W",
            "-f",
            "${db:Status-Status} ${db:Status-Want} ${Package} ${Architecture} ${Version}\n",
        )
        found = {}
        for line in listed.splitlines():
            status, want, name, architecture, version = line.split(" ")
            if status not in ("not-installed", "config-files"):
                full = name if architecture in (native, "all") else f"{name}:{architecture}"
                found[full] = (version, architecture, want == "hold")
        return found

    def interrupted(self) -> bool:
        return bool(self.ask("dpkg", "--audit").strip())

    def mend(self) -> None:
        """Finish what was interrupted."""
        status, output = self.run("dpkg", "--configure", "--pending", "--force-confdef", "--force-confold")
        if status:
            raise Failed(f"dpkg was interrupted, and cannot finish: {apt_updates.last_words(output)}")
        status, output = self.apt("--no-remove", *_KEEP_CONFIGURATION, "--fix-broken", "install")
        if status:
            raise Failed(f"dpkg was interrupted, and apt cannot mend it: {apt_updates.last_words(output)}")


class Run:
    """One call of this module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.host = Host(module)
        self.record: dict[str, Any] = _read()
        self.installed = self.host.installed()
        self.updates: list[Update] = []
        self.held: list[Update] = []
        self.no_way_back: list[str] = []

    def plan(self) -> None:
        params = self.module.params
        labels = (*apt_updates.SECURITY_LABELS, *params["security_labels"])
        security = apt_updates.security_sources(self.host.ask("apt-cache", "policy"), labels)
        if not security:
            raise Failed(
                "none of the host's package sources brings security updates: look at /etc/apt/sources.list.d, and run apt-get update there"
            )
        known = apt_updates.packages(self.host.ask("apt-cache", "policy", *self.installed))
        held = {name for name, (_version, _architecture, hold) in self.installed.items() if hold}
        everything = params["updates"] == "all"
        wanted, self.held = apt_updates.pick(known, security, everything, held | set(params["hold"]))
        if wanted:
            status, output = self.host.apt("--simulate", *self._wanted(wanted))
            if status:
                raise Failed(
                    f"apt finds no way to install {_names(wanted)}: {apt_updates.last_words(output)}"
                )
            self.updates = apt_updates.planned(wanted, apt_updates.simulation(output))

    def _wanted(self, updates: list[Update]) -> list[str]:
        specs = [f"{update.name}={update.after}" for update in updates]
        return [*_KEEP_CONFIGURATION, "--no-remove", "--no-install-recommends", "install", *specs]

    def refresh(self) -> None:
        status, output = self.host.apt("-o", "APT::Update::Error-Mode=any", "update")
        if status:
            why = "; ".join(hints(output))
            raise Failed(f"apt's lists could not be downloaded: {apt_updates.last_words(output, 4)}\n{why}")

    def fetch(self) -> bool:
        """Download both versions of everything; whether that was any change."""
        KEPT.mkdir(mode=0o755, parents=True, exist_ok=True)
        before = set(os.listdir(KEPT))
        status, output = self.host.apt("--download-only", *self._wanted(self.updates))
        if status:
            raise Failed(
                f"updates could not be downloaded: {apt_updates.last_words(output, 4)}; {'; '.join(hints(output))}"
            )
        for update in self.updates:
            self._keep(update.name, update.after, self._architectures(update))
            if update.before and not self._keep(update.name, update.before, self._architectures(update)):
                self.host.apt("download", f"{update.name}={update.before}", cwd=KEPT)
                if not self._archive(update.name, update.before):
                    self.no_way_back.append(update.name)
        return set(os.listdir(KEPT)) != before

    def _architectures(self, update: Update) -> list[str]:
        known = self.installed.get(update.name)
        own = self.host.ask("dpkg", "--print-architecture").strip()
        return list(dict.fromkeys([*([known[1]] if known else []), own, "all"]))

    def _keep(self, name: str, version: str, architectures: list[str]) -> bool:
        """Have the archive in our own directory; whether it is there."""
        for architecture in architectures:
            cached = CACHE / apt_updates.archive_name(name, version, architecture)
            if not (KEPT / cached.name).exists() and cached.exists():
                shutil.copyfile(cached, KEPT / f".{cached.name}")
                os.replace(KEPT / f".{cached.name}", KEPT / cached.name)
        return self._archive(name, version) is not None

    def _archive(self, name: str, version: str) -> Path | None:
        found = sorted(KEPT.glob(apt_updates.archive_name(name, version, "*")))
        return found[0] if found else None

    def apply(self) -> None:
        begun = {
            "started": _now(),
            "finished": "",
            "updates": self.module.params["updates"],
            "reason": self.module.params["reason"],
            "packages": [update._asdict() for update in self.updates],
            "no_way_back": self.no_way_back,
        }
        # What is about to be done is on record first: who finds it so knows that a run was killed.
        self._store({**begun, "phase": "applying"})
        status, output = self.host.apt(*self._wanted(self.updates))
        now = self.host.installed()
        missing = [update.name for update in self.updates if now.get(update.name, ("",))[0] != update.after]
        if not status and not missing and not self.host.interrupted():
            self._store({**begun, "phase": "applied", "finished": _now()})
            self._told("updates_applied", self.updates)
            self._forget()
            return
        said = apt_updates.last_words(output)
        self._store({**begun, "phase": "failed", "finished": _now(), "error": said})
        self._told("updates_failed", self.updates, error=said[-400:])
        # A process that is in the way of dpkg has changed nothing, so there is nothing to take back.
        if not self.changed_since(self.updates):
            raise Failed(f"apt installed nothing: {said}\n{'; '.join(hints(output))}")
        raise Broken(said)

    def changed_since(self, updates: list[Update]) -> bool:
        now = self.host.installed()
        same = all(now.get(update.name, ("",))[0] == update.before for update in updates)
        return not same or self.host.interrupted()

    def revert(self) -> list[Update]:
        """Install again what was there before the installation on record."""
        before = [Update(**one) for one in self.record.get("packages", ())]
        now = self.host.installed()
        wrong = [one for one in before if now.get(one.name, ("",))[0] != one.before]
        # What is there in its version, but half configured, is installed anew too.
        if self.host.interrupted():
            wrong = before
        if not wrong:
            return []
        archives = {one.name: self._archive(one.name, one.before) for one in wrong if one.before}
        lost = sorted(name for name, archive in archives.items() if archive is None)
        there = [str(archive) for archive in archives.values() if archive is not None]
        new = [f"{one.name}-" for one in wrong if not one.before and one.name in now]
        status, output = 0, ""
        if there or new:
            arguments = [
                *_KEEP_CONFIGURATION,
                "--allow-downgrades",
                "--no-install-recommends",
                "install",
                *there,
                *new,
            ]
            status, output = self.host.apt(*arguments)
        if status and there:
            # apt refuses to plan on top of some half-configured packages; dpkg only wants the archives.
            status, output = self.host.run(
                "dpkg", "--force-confdef", "--force-confold", "--force-downgrade", "--install", *there
            )
        now = self.host.installed()
        left = sorted(one.name for one in wrong if now.get(one.name, ("",))[0] != one.before)
        if lost or left or status or self.host.interrupted():
            why = f"; no archive of the older {', '.join(lost)}" if lost else ""
            self._store(
                {**self.record, "phase": "stuck", "finished": _now(), "error": apt_updates.last_words(output)}
            )
            self._told("updates_stuck", wrong)
            raise Failed(
                f"the packages of before could not be installed again: {', '.join(left) or 'dpkg was interrupted'}{why}\n"
                f"{apt_updates.last_words(output)}"
            )
        undone = [Update(one.name, one.after, one.before, one.security) for one in wrong]
        self._store({**self.record, "phase": "reverted", "finished": _now()})
        self._told("updates_reverted", undone)
        return undone

    def _forget(self) -> None:
        """Keep the archives of what is installed, and of what was before."""
        wanted = {
            path.name
            for update in self.updates
            for version in (update.before, update.after)
            if version and (path := self._archive(update.name, version))
        }
        for name, (version, _architecture, _hold) in self.host.installed().items():
            if path := self._archive(name, version):
                wanted.add(path.name)
        for path in KEPT.glob("*.deb"):
            if path.name not in wanted:
                path.unlink()

    def _store(self, record: dict[str, Any]) -> None:
        self.record = record
        records.write(RECORD, record)

    def _told(self, event: str, updates: list[Update], **more: str) -> None:
        # A line of syslog has an end.
        listed = [update.words for update in updates[:20]]
        records.audit(event, packages=listed, count=len(updates), reason=self.module.params["reason"], **more)


class Broken(Exception):
    """An installation failed half-way."""


def _read() -> dict[str, Any]:
    try:
        loaded = json.loads(RECORD.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return dict(loaded) if isinstance(loaded, dict) else {}


def _names(updates: list[Update]) -> str:
    return ", ".join(update.name for update in updates)


def _diff(updates: list[Update]) -> dict[str, str]:
    return {
        "before_header": "installed packages",
        "after_header": "installed packages",
        "before": "".join(f"{update.name} {update.before}\n" for update in updates if update.before),
        "after": "".join(
            f"{update.name} {update.after}{' (security)' if update.security else ''}\n" for update in updates
        ),
    }


def _do(module: AnsibleModule, run: Run) -> dict[str, Any]:
    state = module.params["state"]
    if module.params["refresh"]:
        run.refresh()
    interrupted = run.host.interrupted()
    changed = False
    if state == "reverted":
        if module.check_mode:
            run.updates = [Update(**one) for one in run.record.get("packages", ())]
            return {"changed": bool(run.updates), "interrupted": interrupted}
        run.updates = run.revert()
        return {"changed": bool(run.updates), "interrupted": interrupted}
    if interrupted and state == "applied" and not module.check_mode:
        run.host.mend()
        run.installed = run.host.installed()
        records.audit("updates_mended", record=apt_updates.words(run.record))
        changed = True
    run.plan()
    if run.updates and state == "fetched" and not module.check_mode:
        changed = run.fetch()
    if run.updates and state == "applied":
        if not module.check_mode:
            run.fetch()
            run.apply()
        changed = True
    elif run.record.get("phase") == "applying" and state == "applied" and not module.check_mode:
        # Nothing is left to do of what a killed run began.
        run._store({**run.record, "phase": "applied", "finished": _now()})
    return {"changed": changed, "interrupted": interrupted}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["planned", "fetched", "applied", "reverted"],
                "required": True,
            },
            "updates": {"type": "str", "choices": ["security", "all"], "default": "security"},
            "hold": {"type": "list", "elements": "str", "default": []},
            "security_labels": {"type": "list", "elements": "str", "default": []},
            "refresh": {"type": "bool", "default": False},
            "reason": {"type": "str", "default": ""},
            "lock_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    try:
        run = Run(module)
        done = _do(module, run)
    except Failed as error:
        module.fail_json(msg=f"{error}", record=_read(), reverted=False)
    except Broken as error:
        said = str(error)
        try:
            run.revert()
        except Failed as worse:
            module.fail_json(msg=f"the installation failed: {said}\n{worse}", record=_read(), reverted=False)
        module.fail_json(
            msg=f"the installation failed, and the packages of before are installed again: {said}",
            record=_read(),
            reverted=True,
        )
    module.exit_json(
        **done,
        updates=[update._asdict() for update in run.updates],
        held=[update._asdict() for update in run.held],
        no_way_back=run.no_way_back,
        reboot_expected=apt_updates.reboot_expected(run.updates),
        record=run.record,
        **({"diff": _diff(run.updates)} if run.updates and module.params["state"] != "fetched" else {}),
    )


if __name__ == "__main__":
    main()

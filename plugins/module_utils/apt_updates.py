# SPDX-License-Identifier: GPL-3.0-or-later
"""Which updates a Debian host waits for, and what installing them would do; read from apt's own words, free of Ansible."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

SECURITY_LABELS = ("Debian-Security",)

_PACKAGE = re.compile(r"^(\S+):$")
_VERSION = re.compile(r"^ (?:\*\*\*|   ) (\S+)(?: (-?\d+))?$")
_SOURCE = re.compile(r"^ {8,}(-?\d+) (.+)$")
_PLACE = re.compile(r"^ *(-?\d+) (\S.*)$")
_INSTALL = re.compile(r"^Inst (\S+) (?:\[(\S+)\] )?\((\S+) ")
_REMOVE = re.compile(r"^(?:Remv|Purg) (\S+)")
# Below this apt does not install by itself what is not installed from there already.
_USUAL = 100
# Who has these in memory cannot be restarted without the host.
_NEEDS_REBOOT = re.compile(
    r"(linux-image-.*|libc6|libdbus-1-3|libsystemd0|dbus|dbus-daemon|amd64-microcode|intel-microcode)"
)


class Version(NamedTuple):
    text: str
    priority: int
    sources: tuple[str, ...]


class Package(NamedTuple):
    name: str
    installed: str
    candidate: str
    # Newest first, as apt lists them.
    versions: tuple[Version, ...]


class Update(NamedTuple):
    name: str
    # Empty where the package was not installed before.
    before: str
    after: str
    security: bool

    @property
    def words(self) -> str:
        kind = " (security)" if self.security else ""
        return f"{self.name} {self.before or 'new'} -> {self.after}{kind}"


class Simulation(NamedTuple):
    installs: tuple[tuple[str, str, str], ...]
    removes: tuple[str, ...]


def security_sources(policy: str, labels: Collection[str] = SECURITY_LABELS) -> set[str]:
    """Of what ``apt-cache policy`` says without arguments: the sources that bring security updates, as apt names them."""
    found: set[str] = set()
    source = ""
    for line in policy.splitlines():
        if line.strip().startswith("release "):
            said = dict(part.partition("=")[::2] for part in line.strip()[8:].split(","))
            if said.get("l") in labels or (said.get("o") == "Debian" and _is_security_suite(said)):
                found.add(source)
        elif match := _PLACE.match(line):
            source = match[2]
    return found


def _is_security_suite(said: Mapping[str, str]) -> bool:
    return any(said.get(key, "").endswith("-security") for key in ("a", "n"))


def packages(policy: str) -> list[Package]:
    """Of what ``apt-cache policy NAME...`` says."""
    found: list[Package] = []
    name, fields, versions = "", {"Installed": "", "Candidate": ""}, list[Version]()

    def end() -> None:
        if name:
            found.append(Package(name, fields["Installed"], fields["Candidate"], tuple(versions)))

    for line in policy.splitlines():
        if match := _PACKAGE.match(line):
            end()
            name, fields, versions = match[1], {"Installed": "", "Candidate": ""}, []
        elif (match := _SOURCE.match(line)) and versions:
            last = versions[-1]
            versions[-1] = last._replace(sources=(*last.sources, match[2]))
        elif match := _VERSION.match(line):
            versions.append(Version(match[1], int(match[2] or 0), ()))
        else:
            key, _colon, value = line.strip().partition(": ")
            if key in fields:
                fields[key] = "" if value == "(none)" else value
    end()
    return found


def pick(
    known: Iterable[Package], security: Collection[str], everything: bool, held: Collection[str] = ()
) -> tuple[list[Update], list[Update]]:
    """What to bring onto the host, and what somebody holds back.

    :param security: the sources of security updates, by `security_sources`.
    :param everything: also what is no security update.
    :param held: packages that stay as they are.
    """
    wanted: list[Update] = []
    kept: list[Update] = []
    for package in known:
        update = _update(package, security, everything)
        if update:
            (kept if package.name in held else wanted).append(update)
    return wanted, kept


def _update(package: Package, security: Collection[str], everything: bool) -> Update | None:
    if not package.installed:
        return None
    newer = []
    for version in package.versions:
        if version.text == package.installed:
            break
        newer.append(version)
    secure = [
        version
        for version in newer
        if version.priority >= _USUAL and any(source in security for source in version.sources)
    ]
    if everything and any(version.text == package.candidate for version in newer):
        return Update(package.name, package.installed, package.candidate, bool(secure))
    if secure:
        return Update(package.name, package.installed, secure[0].text, True)
    return None


def simulation(output: str) -> Simulation:
    """Of what ``apt-get --simulate`` says: name, version before and after of each package, and what would go."""
    installs, removes = [], []
    for line in output.splitlines():
        if match := _INSTALL.match(line):
            installs.append((match[1], match[2] or "", match[3]))
        elif match := _REMOVE.match(line):
            removes.append(match[1])
    return Simulation(tuple(installs), tuple(removes))


def planned(wanted: Iterable[Update], simulated: Simulation) -> list[Update]:
    """All that would be done: what was wanted, and what comes with it."""
    security = {update.name: update.security for update in wanted}
    return [
        Update(name, before, after, security.get(name, False)) for name, before, after in simulated.installs
    ]


def reboot_expected(updates: Iterable[Update]) -> list[str]:
    """The packages of a plan after which the host has to be restarted."""
    return sorted({update.name for update in updates if _NEEDS_REBOOT.fullmatch(update.name.split(":")[0])})


def newest_kernel(images: Iterable[str]) -> str:
    """Of the names below /boot (``vmlinuz-6.1.0-37-amd64``), the release of the newest one; empty without any."""
    releases = [name.partition("-")[2] for name in images if name.startswith("vmlinuz-")]
    return max(releases, key=_natural, default="")


def _natural(release: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", release)
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def archive_name(name: str, version: str, architecture: str) -> str:
    """A package's file, as apt calls it."""
    return f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_{architecture}.deb"


def last_words(output: str, limit: int = 12) -> str:
    """What dpkg and apt said in the end, without their progress."""
    quiet = (
        "Reading ",
        "Building ",
        "Get:",
        "Fetched ",
        "(Reading database",
        "Preparing to",
        "Selecting ",
        "Need to",
    )
    lines = [line.rstrip() for line in output.splitlines() if line.strip() and not line.startswith(quiet)]
    return "\n".join(lines[-limit:])


def words(record: Mapping[str, Any]) -> str:
    """One line about a record of the last run."""
    names = [str(one["name"]) for one in record.get("packages", ())]
    what = f"{len(names)} packages" if len(names) != 1 else names[0]
    return f"{record.get('phase', '?')} {what} at {record.get('finished') or record.get('started') or '?'}"

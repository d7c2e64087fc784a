# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters that say what a container may do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.techsaas.hardened.plugins.module_utils import seccomp


def _known(names: Iterable[str]) -> list[str]:
    listed = sorted(set(names))
    unknown = [name for name in listed if name not in seccomp.known_names()]
    if unknown:
        raise AnsibleFilterError(f"seccomp_profile: no system calls: {', '.join(map(str, unknown))}")
    return listed


def seccomp_profile(recorded: Iterable[str], added: Iterable[str] = ()) -> dict[str, Any]:
    """See seccomp_profile.yml."""
    return seccomp.profile(_known(recorded) or None, _known(added))


def seccomp_refused(recorded: Iterable[str]) -> list[str]:
    """See seccomp_refused.yml."""
    return seccomp.refused(_known(recorded))


def containment_note(exception: Mapping[str, Any], kind: str) -> str:
    """See containment_note.yml."""
    if kind == "signature":
        return f"until {exception['until']} the image may run unsigned, by app_image_signature_waiver: {exception['reason']}"
    words = {"syscall": "the system call", "capability": "the capability"}[kind]
    return f"containers are allowed {words} {exception['name']}: {exception['reason']}"


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "containment_note": containment_note,
            "seccomp_profile": seccomp_profile,
            "seccomp_refused": seccomp_refused,
        }

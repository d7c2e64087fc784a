# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run tells its caller: the outcome as a plain, masked structure."""

from __future__ import annotations

import os
from typing import Any

from .diff import diff
from .mask import Masker, values_of, words_of
from .model import Outcome, SetSpec
from .nodes import File


def masker_for(spec: SetSpec, outcome: Outcome) -> Masker:
    """Hides this run's secrets, those of the last run, and the words of files that are secret as a whole."""
    contents = [f.content for f in spec.files if f.secret and f.content]
    contents += [c.before.content for c in outcome.changes if c.secret and isinstance(c.before, File)]
    public = _public_words(spec) if contents else ()
    return Masker(values_of((*spec.secrets, *outcome.past_secrets), contents, public))


def to_result(outcome: Outcome, masker: Masker) -> dict[str, Any]:
    result: dict[str, Any] = masker.deep(
        {
            "changed": outcome.changed,
            "files_changed": outcome.files_changed,
            "action": outcome.action,
            "services": outcome.units,
            "judged": outcome.judged,
            "recovered": outcome.recovered,
            "put_back": outcome.put_back,
        }
    )
    result["diff"] = diff(outcome.changes, masker, outcome.renewals)
    return result


def _public_words(spec: SetSpec) -> set[str]:
    """Words that a message cannot do without, though a secret file may hold them as well."""
    words: set[str] = {spec.name}
    paths = (
        [f.path for f in spec.files] + [d.path for d in spec.directories] + [link.path for link in spec.links]
    )
    paths += [watch.path for watch in spec.watch]
    for path in paths:
        words.update((path, os.path.basename(path), os.path.dirname(path)))
    for argv in spec.check:
        words.update(argv)
    words.update(service.name for service in spec.services)
    for file in spec.files:
        if file.content and not file.secret:
            words |= words_of(file.content)
    return words

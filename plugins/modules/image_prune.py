#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_prune
short_description: Remove images that no release on the host's record needs any more
version_added: 0.1.0
description:
  - Looks at the images of those repositories that the host's release record names, and removes what is neither in a slot nor among the
    record's releases. How old an image is does not count. Images of other repositories, and those of a container, are left alone.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Remove images that no release needs
  techsaas.hardened.image_prune:
"""

RETURN = r"""
removed:
  description: The images that are no longer there.
  returned: success
  type: list
  elements: str
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import release_bundle, releases
from ansible_collections.techsaas.hardened.plugins.module_utils.engine_api import Engine, EngineProblem
from ansible_collections.techsaas.hardened.plugins.module_utils.image_reference import parse


def _load(path: Path) -> dict[str, Any]:
    loaded = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise ValueError(str(path))
    return loaded


def needed(directory: Path) -> set[str]:
    """The images of the record's releases and of the slots, as REPOSITORY@DIGEST; none before the first release."""
    if not (directory / "release.json").exists():
        return set()
    record = _load(directory / "release.json")
    bundles = [record, record.get("previous") or {}, *record.get("history", [])]
    bundles += [_load(path) for path in directory.glob("slot-*.json")]
    bundles += release_bundle.listed(directory / "releases")
    return {_without_tag(bundle["image"]) for bundle in bundles if bundle.get("image")}


def _without_tag(image: str) -> str:
    reference = parse(image)
    return f"{reference.registry}/{reference.repository}@{reference.digest}"


def superfluous(images: list[dict[str, Any]], kept: set[str]) -> list[str]:
    """Of the engine's images, by what it calls RepoDigests, those that may go."""
    repositories = {image.partition("@")[0] for image in kept}
    listed = {name for image in images for name in image.get("RepoDigests") or []}
    return sorted(name for name in listed - kept if name.partition("@")[0] in repositories)


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    engine = Engine()
    removed = []
    try:
        kept = needed(Path(releases.PATH).parent)
        for name in superfluous(engine.images(), kept) if kept else []:
            if module.check_mode or engine.remove_image(name):
                removed.append(name)
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(msg=f"No image was removed, since the release record cannot be read: {error}")
    except EngineProblem as problem:
        module.fail_json(msg=f"Not all superfluous images were removed: {problem}", removed=removed)
    diff = {"before": "".join(f"{name}\n" for name in removed), "after": ""}
    module.exit_json(changed=bool(removed), removed=removed, **({"diff": diff} if removed else {}))


if __name__ == "__main__":
    main()

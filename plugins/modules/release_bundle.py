#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_bundle
short_description: Keeps releases on an application host, and puts one into a slot again
version_added: 0.1.0
description:
  - A release is kept as everything that its slot held (unit, environment, secrets as they lie there, encrypted), so that going back to it
    needs neither its inventory nor its secrets on the controller.
  - It is put back as M(techsaas.hardened.config_set) does it. If it does not become ready, the slot gets back what it held.
options:
  state:
    description:
      - V(kept) keeps what O(slot) holds, as O(release), and removes what is superfluous.
      - V(restored) puts O(release) into O(slot).
      - V(tagged) gives O(release) the name O(tag), V(untagged) takes it away. What has a tag is never removed.
      - V(listed) changes nothing.
    type: str
    choices: [kept, restored, tagged, untagged, listed]
    default: listed
  slot:
    description: The slot. Required for V(kept) and V(restored).
    type: str
    choices: [blue, green]
  release:
    description: Name of the release. Required but for V(listed).
    type: str
  image:
    description: Its image. Required for V(kept).
    type: str
  ready_path:
    description: Path at which the application says that it is ready, for when it is put back.
    type: str
    default: /readyz
  ready_deadline:
    description: Seconds that this may take.
    type: float
    default: 60
  port:
    description: Port of this host at which the slot's container answers. Required for V(restored).
    type: int
  keep:
    description: How many releases are kept beside those that are tagged, serve, or lie in a slot.
    type: int
    default: 5
  tag:
    description: A name that people give it. Required for V(tagged) and V(untagged).
    type: str
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.config_set
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Keep what was just put there
  techsaas.hardened.release_bundle:
    state: kept
    slot: green
    release: "2026.11"
    image: registry.example.com/api@sha256:0000000000000000000000000000000000000000000000000000000000000000

- name: See what there is to go back to
  techsaas.hardened.release_bundle:
  register: kept
"""

RETURN = r"""
releases:
  description: What is kept, the latest first, each with C(release), C(image), C(kept_at) (seconds since 1970), C(tags),
    and C(secrets) (keyed fingerprints of what it was made with).
  returned: success
  type: list
  elements: dict
removed:
  description: Releases that are not kept any more.
  returned: O(state=kept)
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import records, release_bundle, releases
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.engine import Engine
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import ConfigSetError
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import Systemd
from ansible_collections.techsaas.hardened.plugins.module_utils.release_bundle import BundleError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["kept", "restored", "tagged", "untagged", "listed"],
                "default": "listed",
            },
            "slot": {"type": "str", "choices": list(releases.SLOTS)},
            "release": {"type": "str"},
            "image": {"type": "str"},
            "ready_path": {"type": "str", "default": "/readyz"},
            "ready_deadline": {"type": "float", "default": 60},
            "port": {"type": "int"},
            "keep": {"type": "int", "default": 5, "no_log": False},
            "tag": {"type": "str"},
        },
        required_if=[
            ("state", "kept", ("slot", "release", "image")),
            ("state", "restored", ("slot", "release", "port")),
            ("state", "tagged", ("release", "tag")),
            ("state", "untagged", ("release", "tag")),
        ],
        supports_check_mode=True,
    )
    verbs = {"kept": _keep, "restored": _restore, "tagged": _tag, "untagged": _tag}
    state = module.params["state"]
    try:
        result = verbs[state](module) if state in verbs else {"changed": False}
    except BundleError as error:
        module.fail_json(msg=f"{error}. Nothing was changed")
    except ConfigSetError as error:
        # Its contents are encrypted or no secrets, so that there is nothing to hide in the checker's words.
        module.fail_json(msg=f"release {module.params['release']} in slot {module.params['slot']}: {error}")
    module.exit_json(**result, releases=release_bundle.listed())


def _keep(module: Any) -> dict[str, Any]:
    options = module.params
    release_bundle.path_of(options["release"])
    if module.check_mode:
        return {"changed": True, "removed": []}
    bundle = release_bundle.take(
        options["slot"],
        options["release"],
        options["image"],
        options["ready_path"],
        options["ready_deadline"],
    )
    changed = release_bundle.keep(bundle)
    needed = release_bundle.needed(Path(releases.PATH).parent) | {options["release"]}
    removed = release_bundle.superfluous(release_bundle.listed(), options["keep"], needed)
    for name in removed:
        release_bundle.remove(name)
    return {"changed": changed or bool(removed), "removed": removed}


def _restore(module: Any) -> dict[str, Any]:
    options = module.params
    bundle = release_bundle.read(options["release"])
    engine = Engine(release_bundle.spec_of(bundle, options["slot"], options["port"]), Systemd())
    outcome = engine.plan() if module.check_mode else engine.apply()
    if outcome.changed and not module.check_mode:
        records.audit(
            "release_restored", release=options["release"], slot=options["slot"], image=bundle["image"]
        )
    return {"changed": outcome.changed}


def _tag(module: Any) -> dict[str, Any]:
    options = module.params
    present = options["state"] == "tagged"
    if module.check_mode:
        bundle = release_bundle.read(options["release"])
        return {"changed": present != (options["tag"] in bundle["tags"])}
    return {"changed": release_bundle.tag(options["release"], options["tag"], present)}


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_pull
short_description: Have an image on a host, by its digest
version_added: 0.1.0
description:
  - Has the engine fetch the image, which it refuses to keep under another digest than the one asked for. Nothing is fetched, and no
    registry asked, when the image is there.
  - Credentials go to the engine over its socket. They are in no argument, environment or file, as C(docker login) would leave them.
options:
  image:
    description:
      - The image as C(REGISTRY[:PORT]/REPOSITORY@sha256:DIGEST).
    type: str
    required: true
  username:
    description:
      - User to authenticate as, where the registry asks for it.
    type: str
  password:
    description:
      - Password or token of O(username). The task needs pipelining, or Ansible writes its options to a file on the host.
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
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Fetch the image
  techsaas.hardened.image_pull:
    image: registry.example.com/api@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""

RETURN = r"""
image:
  description: The image that is there now.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.engine_api import Engine, EngineProblem
from ansible_collections.techsaas.hardened.plugins.module_utils.image_reference import ReferenceProblem, parse


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
        },
        required_together=[("username", "password")],
        supports_check_mode=True,
    )
    image = module.params["image"]
    try:
        reference = parse(image)
    except ReferenceProblem as problem:
        module.fail_json(msg=f"The image reference {problem}. Fix: {problem.fix}")
    if not reference.digest:
        module.fail_json(msg=f"{image} names no digest. Fix: add @sha256:DIGEST, since a tag may be moved")
    named = f"{reference.registry}/{reference.repository}"
    engine, changed = Engine(), True
    try:
        changed = not engine.has_image(f"{named}@{reference.digest}")
        if changed and not module.check_mode:
            engine.pull(
                named, reference.digest, module.params["username"] or "", module.params["password"] or ""
            )
    except EngineProblem as problem:
        # In a plan the engine may be what is still to come.
        if not module.check_mode:
            module.fail_json(
                msg=f"{image} cannot be fetched: {problem}. What runs on this host goes on running"
            )
    module.exit_json(changed=changed, image=f"{named}@{reference.digest}")


if __name__ == "__main__":
    main()

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_contents
short_description: Packages in the image that serves
version_added: 0.1.0
description:
  - Reads the databases of dpkg or apk, and the Python distributions, from the file system of the container that serves. Runs nothing of
    it and changes nothing.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: See what serves
  techsaas.hardened.image_contents:
  register: contents
"""

RETURN = r"""
image:
  description: The image that serves, as it was released; empty where nothing does.
  returned: always
  type: str
contents:
  description: C(distribution), C(version), C(database) (V(dpkg), V(apk) or empty), C(packages) and C(python), both by name.
  returned: always
  type: dict
problem:
  description: Why the image could not be looked into; empty if it could.
  returned: always
  type: str
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import image_contents
from ansible_collections.techsaas.hardened.plugins.module_utils.health import serving_slot


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    slot = serving_slot()
    nothing: dict[str, Any] = {"changed": False, "image": "", "contents": {}}
    if not slot:
        module.exit_json(**nothing, problem="no release serves on this host")
    status, output, errors = module.run_command(["docker", "inspect", f"app-{slot}"])
    if status:
        module.exit_json(**nothing, problem=f"docker inspect app-{slot}: {errors.strip()}")
    container = json.loads(output)[0]
    image = str(container["Config"]["Image"])
    merged = ((container.get("GraphDriver") or {}).get("Data") or {}).get("MergedDir", "")
    if not merged or not Path(merged).is_dir():
        module.exit_json(
            **{**nothing, "image": image}, problem="the engine does not say where the container's files are"
        )
    contents = image_contents.read(Path(merged))
    problem = "" if contents["packages"] else "the image has no database of packages (dpkg, apk)"
    module.exit_json(changed=False, image=image, contents=contents, problem=problem)


if __name__ == "__main__":
    main()

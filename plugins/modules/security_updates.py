#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: security_updates
short_description: Compare versions of packages with the security updates that a host's apt knows
version_added: 0.1.0
description:
  - For packages that are installed elsewhere, such as in an image of the same release of Debian. Changes nothing.
options:
  packages:
    description: Versions by name.
    type: dict
    required: true
  security_labels:
    description: Labels of package sources that bring security updates, beside Debian's own.
    type: list
    elements: str
    default: []
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
seealso:
  - module: techsaas.hardened.image_contents
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Compare an image of the same release
  techsaas.hardened.security_updates:
    packages: {libc6: 2.41-12}
"""

RETURN = r"""
updates:
  description: Packages with C(name), C(before), and the newest security update in C(after).
  returned: always
  type: list
  elements: dict
unknown:
  description: Packages that the host's sources do not have, so nothing can be said of them.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import apt_updates, debian_version


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "dict", "required": True},
            "security_labels": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = {str(name): str(version) for name, version in module.params["packages"].items()}
    labels = (*apt_updates.SECURITY_LABELS, *module.params["security_labels"])
    words = {"LC_ALL": "C.UTF-8"}
    sources = module.run_command(["apt-cache", "policy"], environ_update=words, check_rc=True)[1]
    security = apt_updates.security_sources(sources, labels)
    if not security:
        module.fail_json(
            msg="none of the host's package sources brings security updates, so nothing can be compared"
        )
    policy = module.run_command(["apt-cache", "policy", *wanted], environ_update=words, check_rc=True)[1]
    known = {package.name: package for package in apt_updates.packages(policy) if package.versions}
    updates = []
    for name, version in sorted(wanted.items()):
        secure = (
            [one.text for one in known[name].versions if any(source in security for source in one.sources)]
            if name in known
            else []
        )
        newest = max(secure, key=debian_version.key, default="")
        if newest and debian_version.compare(version, newest) < 0:
            updates.append({"name": name, "before": version, "after": newest})
    module.exit_json(changed=False, updates=updates, unknown=sorted(set(wanted) - set(known)))


if __name__ == "__main__":
    main()

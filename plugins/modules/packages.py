#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: packages
short_description: Debian packages, at no cost when they are there
version_added: 0.1.0
description:
  - Makes sure that packages are installed. When M(techsaas.hardened.host_info) has told what the host has and nothing
    is missing, the host is not contacted at all.
  - Otherwise runs M(ansible.builtin.apt) without recommended packages and with patience for another process's lock.
    Services of a package are not started by its installation, so that nothing ever runs with its stock configuration.
  - In check mode the plan is made from what the host has, so that it is right even where apt's lists were never
    downloaded.
  - After an installation the fact C(hardened_host) is read again, for the tasks that follow.
options:
  name:
    description:
      - Names of packages, each optionally with C(=version), where C(*) stands for anything.
    type: list
    elements: str
    required: true
    aliases: [pkg]
  start:
    description:
      - Whether services may be started by the installation of their package.
    type: bool
    default: false
  cache_valid_time:
    description:
      - Seconds for which apt's lists count as fresh. They are looked at only when something must be installed.
    type: int
    default: 3600
  lock_timeout:
    description:
      - Seconds to wait for another process that holds apt's or dpkg's lock.
    type: int
    default: 120
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.host_info
  - module: ansible.builtin.apt
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Install the proxy
  techsaas.hardened.packages:
    name:
      - nginx
      - libnginx-mod-http-modsecurity
"""

RETURN = r"""
installed:
  description: Packages that were, or in check mode would be, installed.
  returned: success
  type: list
  elements: str
  sample: [nginx]
ansible_facts:
  description: The fact C(hardened_host) with the packages that are there now.
  returned: when something was installed and the fact was known
  type: dict
hints:
  description: What probably stands in the way, most likely first.
  returned: failure
  type: list
  elements: str
"""

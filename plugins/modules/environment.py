#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: environment
short_description: Makes the directory of a new environment
version_added: 0.1.0
description:
  - Writes an inventory, the variables that differ from the roles' defaults, and generated secrets in a file that the run's vault password
    encrypts, with their registry. On the controller; no host is contacted.
  - The directory is there with all of its files, or not at all. One that has something in it is refused.
  - All that is wrong with the options is said at once.
options:
  path:
    description: Directory of the environment.
    type: path
    default: ''
  name:
    description: Name of the environment. By default that of the directory.
    type: str
    default: ''
  domain:
    description: Public name under which clients reach the API.
    type: str
    default: ''
  image:
    description: The image, by its digest. It can be written into the inventory later.
    type: str
    default: ''
  image_keys:
    description: Files with the public keys of whom may sign the image.
    type: list
    elements: path
    default: []
  hosts:
    description: Hosts of each group, as C(NAME) or C(NAME=ADDRESS).
    type: dict
    default: {}
    suboptions:
      edge:
        description: Reverse proxies.
        type: list
        elements: str
        default: []
      app:
        description: Application hosts.
        type: list
        elements: str
        default: []
      database:
        description: The database's host. None where the application has no database.
        type: list
        elements: str
        default: []
      logs:
        description: Collectors of the logs.
        type: list
        elements: str
        default: []
  user:
    description: User by which Ansible comes to the hosts. It has to be allowed to use sudo.
    type: str
    default: automation
  settings:
    description: More variables for all hosts. Not for secrets.
    type: dict
    default: {}
  vault_id:
    description: Which of the run's vault passwords encrypts the secrets, where there are several.
    type: str
    default: ''
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: none
  bypass_host_loop:
    support: full
  check_mode:
    support: full
  connection:
    support: none
  delegation:
    support: none
  diff_mode:
    support: none
  platform:
    support: full
    platforms: all
seealso:
  - module: techsaas.hardened.secret_generate
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Begin an environment on one host
  techsaas.hardened.environment:
    path: environments/production
    domain: api.your-company.com
    hosts: {edge: [api-1=192.0.2.10], app: [api-1], database: [api-1], logs: [api-1]}
"""

RETURN = r"""
path:
  description: The directory.
  returned: success
  type: str
files:
  description: Its files.
  returned: success
  type: list
  elements: str
problems:
  description: All that is wrong with what was given.
  returned: failure
  type: list
  elements: str
"""

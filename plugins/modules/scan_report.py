#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scan_report
short_description: What a scan of the fleet has found, as SARIF and text
version_added: 0.1.0
description:
  - Runs on the controller. Takes what the hosts have said, looks for secrets in clear in the inventory's files, has C(pip-audit) judge the
    Python distributions of images where that program is installed, and files the result.
  - What could not be looked at is told as such, in the text and in the file.
options:
  hosts:
    description: The hosts that were to be looked at.
    type: list
    elements: str
    required: true
  updates:
    description: Variable of a host with the result of M(techsaas.hardened.updates).
    type: str
    required: true
  stale:
    description: Variable of a host with the result of M(techsaas.hardened.stale_services).
    type: str
    required: true
  image:
    description: Variable of an application host with the result of M(techsaas.hardened.image_contents).
    type: str
    required: true
  compared:
    description: Variable of an application host with the result of M(techsaas.hardened.security_updates) for its image.
    type: str
    required: true
  inventory:
    description: Files and directories in which to look for secrets.
    type: list
    elements: str
    default: []
  output:
    description: The file to write (SARIF 2.1.0); beside it the text, with the suffix C(.txt). None is written in check mode.
    type: path
    required: true
  fail_on:
    description: The level of findings that are in RV(over), with those of higher ones.
    type: str
    choices: [high, medium, low, never]
    default: high
  audit_timeout:
    description: Seconds for C(pip-audit).
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
    support: none
  platform:
    support: full
    platforms: posix
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: File what was found
  techsaas.hardened.scan_report:
    hosts: "{{ ansible_play_hosts_all }}"
    updates: updates_found
    stale: stale_found
    image: image_found
    compared: image_compared
    inventory: ["{{ inventory_dir }}"]
    output: "{{ inventory_dir }}/.reports/scan.sarif"
"""

RETURN = r"""
lines:
  description: The findings, and what was looked at, in words.
  returned: always
  type: list
  elements: str
findings:
  description: Each finding, with C(rule), C(level), C(message), C(where) and C(line).
  returned: always
  type: list
  elements: dict
over:
  description: Findings that somebody has to do something about, as in RV(findings).
  returned: always
  type: list
  elements: dict
not_scanned:
  description: What could not be looked at, and why.
  returned: always
  type: list
  elements: str
output:
  description: The file.
  returned: always
  type: str
"""

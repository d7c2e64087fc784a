#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: preflight_report
short_description: One report of all problems of a fleet
version_added: 0.1.0
description:
  - Brings together what M(techsaas.hardened.validate), M(techsaas.hardened.host_info), M(techsaas.hardened.image_info)
    and other checks have found, judges each host by its facts, and fails with one report that lists everything, or
    succeeds with a verdict of one line.
  - A host without the fact C(hardened_host) counts as unreachable.
  - Runs once, on the controller, whatever the play's hosts; it needs no connection. Say C(run_once=true) all the same,
    so that a failure stops every host, and C(ignore_unreachable=true) for the play, because a play whose hosts have all
    been lost runs no further task.
options:
  problems:
    description:
      - Problems that C(validate) returned.
    type: list
    elements: dict
    default: []
  checks:
    description:
      - Names of variables that tasks on the hosts have registered. Each may have C(problems), a list of dictionaries
        with C(code), C(message), and C(fix), and optionally C(variable).
    type: list
    elements: str
    default: []
  guide:
    description:
      - Verdicts on the rules of the users' guide, as C(validate) returned them. They are part of the message.
    type: list
    elements: dict
    default: []
  notes:
    description:
      - What is no problem, but should be known. They are part of the message.
    type: list
    elements: str
    default: []
  hosts:
    description:
      - Hosts to report on. By default all hosts of the play, as C(--limit) leaves them; in a play on C(localhost), all
        hosts of the inventory.
    type: list
    elements: str
  releases:
    description:
      - Distributions and versions that are supported.
    type: list
    elements: str
    default: [debian 12, debian 13]
  memory_mb:
    description:
      - MiB of memory that a host must have.
    type: int
    default: 400
  disk_free_mb:
    description:
      - MiB that must be free in the root file system, and in C(/var) and C(/var/lib) where they are file systems.
    type: int
    default: 1024
  clock_skew:
    description:
      - Seconds by which clocks may differ, from the controller's and from one another.
    type: float
    default: 5.0
  cgroup_versions:
    description:
      - Versions of control groups that are accepted.
    type: list
    elements: int
    default: [1, 2]
extends_documentation_fragment:
  - techsaas.hardened.verdict
seealso:
  - module: techsaas.hardened.validate
  - module: techsaas.hardened.host_info
  - module: techsaas.hardened.image_info
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Preflight
  hosts: all
  gather_facts: false
  ignore_unreachable: true
  any_errors_fatal: true
  tasks:
    - name: Judge every variable of every host
      techsaas.hardened.validate:
        fail: false
      run_once: true
      register: preflight_variables

    - name: Look at each host
      techsaas.hardened.host_info:
        fail: false
      register: preflight_host

    - name: Report all problems at once
      techsaas.hardened.preflight_report:
        problems: "{{ preflight_variables.problems }}"
        checks: [preflight_host]
        guide: "{{ preflight_variables.guide }}"
      run_once: true
"""

RETURN = r"""
msg:
  description: The verdict, for people, and below it a line for each rule of the users' guide.
  returned: always
  type: str
problems:
  description: All problems, equal ones of several hosts as one, in the form that M(techsaas.hardened.validate) uses.
  returned: always
  type: list
  elements: dict
"""

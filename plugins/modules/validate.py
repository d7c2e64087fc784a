#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: validate
short_description: Judges the variables of the whole fleet, before any host is contacted
version_added: 0.1.0
description:
  - Holds every variable of every host against what the roles' argument specs and annotations ask for, and lists all
    problems at once, each with the variable, the hosts, the rule, the fix, and where it was written.
  - Runs once, on the controller, whatever the play's hosts; it needs no connection. Say C(run_once=true) all the same,
    so that a failure stops every host. Not in a play on C(localhost), which C(--limit) would skip.
  - Resolves each variable by itself, so that a value that is undefined, recursive, or cannot be decrypted hides no
    other problem. A value made of facts that are not known yet is left for later.
  - Reads the files of the inventory too, for secrets that stand in clear there, whatever value wins in the end.
  - Values, their lengths, and texts of exceptions are never shown.
options:
  hosts:
    description:
      - Hosts to judge. By default all hosts of the inventory, also under C(--limit), because they form one system.
    type: list
    elements: str
  required:
    description:
      - Variables that this playbook needs although they are optional in general, for example V(image).
    type: list
    elements: str
    default: []
  required_groups:
    description:
      - Groups that must have a host. By default those that C(meta/environment.yml) names.
    type: list
    elements: str
  path:
    description:
      - Directory with C(meta/environment.yml) and C(roles) to take the specification from. By default this collection.
    type: path
extends_documentation_fragment:
  - techsaas.hardened.verdict
seealso:
  - module: techsaas.hardened.preflight_report
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Judge every variable of every host
  techsaas.hardened.validate:
    required: [image, release]
  run_once: true
"""

RETURN = r"""
problems:
  description: All problems, equal ones of several hosts as one.
  returned: always
  type: list
  elements: dict
  contains:
    variable:
      description: Name of the variable, with the place inside its value where that helps.
      type: str
      sample: app_cors_origins[1]
    code:
      description: What kind of problem it is.
      type: str
      sample: TOO_SHORT
    rule:
      description: What the value must be.
      type: str
    fix:
      description: What to do about it.
      type: str
    hosts:
      description: The first few hosts that have the problem.
      type: list
      elements: str
    host_count:
      description: How many hosts have it.
      type: int
    file:
      description: Where the value was written, if that is known.
      type: str
      sample: inventories/lab/group_vars/all/main.yml:12
guide:
  description: The rules of the users' guide, each with its verdict.
  returned: always
  type: list
  elements: dict
  contains:
    rule:
      description: What the guide names.
      type: str
      sample: LOG_LEVEL
    says:
      description: What it asks for.
      type: str
      sample: is WARNING or stricter, where real users are served
    verdict:
      description: V(OK), V(PROBLEM), or V(NOT JUDGED) where the value could not be seen.
      type: str
production:
  description: Whether the environment serves real users.
  returned: always
  type: bool
msg:
  description: The problems, for people.
  returned: when there are problems and O(fail=true), or when there are none
  type: str
"""

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify_report
short_description: One verdict on a deployment from what was seen of it from outside
version_added: 0.1.0
description:
  - Brings together what M(techsaas.hardened.verify_edge) found on each edge and M(techsaas.hardened.verify_logs) on
    each collector, and fails with one report of everything, or tells in a few lines what was proven.
  - With several collectors it is enough that one has a line, because they stand in for each other.
  - Runs once, on the controller, whatever the play's hosts; it needs no connection. With C(-v) it lists all checks.
options:
  edges:
    description:
      - Hosts on which O(edge_result) was registered. Under C(--limit) those that take part in the run.
    type: list
    elements: str
    required: true
  collectors:
    description:
      - Hosts on which O(logs_result) was registered.
    type: list
    elements: str
    required: true
  apps:
    description:
      - Hosts on which O(app_result) was registered.
    type: list
    elements: str
    default: []
  edge_result:
    description:
      - Name of the variable with the result of M(techsaas.hardened.verify_edge).
    type: str
    default: _verify_edge
  logs_result:
    description:
      - Name of the variable with the result of M(techsaas.hardened.verify_logs).
    type: str
    default: _verify_logs
  app_result:
    description:
      - Name of the variable with the result of M(techsaas.hardened.verify_release).
    type: str
    default: _verify_release
extends_documentation_fragment:
  - techsaas.hardened.verdict
seealso:
  - module: techsaas.hardened.verify_edge
  - module: techsaas.hardened.verify_logs
  - module: techsaas.hardened.verify_release
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Tell all that was found
  techsaas.hardened.verify_report:
    edges: "{{ groups.edge | intersect(ansible_play_hosts_all) }}"
    collectors: "{{ groups.logs | intersect(ansible_play_hosts_all) }}"
"""

RETURN = r"""
msg:
  description: The verdict, for people.
  returned: always
  type: str
problems:
  description: All problems, equal ones of several hosts as one, in the form that M(techsaas.hardened.validate) uses.
  returned: with O(fail=false); otherwise the verdict stands alone
  type: list
  elements: dict
"""

#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret_rotate
short_description: Replaces secrets that are in use, step by step
version_added: 0.1.0
description:
  - Plans which secrets have to be replaced, and brings them from step to step, on the controller, in whichever backend is chosen. What hosts
    need between two steps is done by the playbook C(rotate.yml).
  - How far a secret is, its new value, and the one before, lie in the backend beside it, as C(NAME_rotation). A run that was killed is picked
    up where it ended, with the same new value. There are never more than two valid ones.
  - Values are in no result, diff, or file in clear.
  - The inventory's variables C(hardened_rotation_policy), C(hardened_rotation_overlap), C(hardened_rotation_secrets), and
    C(hardened_secret_names) are read as they are.
notes:
  - Codes of failures are those of M(techsaas.hardened.secret_generate), and C(ROTATION), C(ROTATION_REFUSED), and C(CA_KEY).
  - The secrets of the collection's own roles, their classes, and how each is replaced, are listed in C(docs/rotation.md).
options:
  state:
    description:
      - V(planned) changes nothing. It fails, with all reasons, where something that was asked for must not be.
      - V(begun) makes the new value. From then on consumers may accept it.
      - V(switching) says that consumers begin to use it, V(withdrawn) that they do not any more.
      - V(committed) makes it the current one in the backend. The one before stays valid for C(hardened_rotation_overlap).
      - V(settled) says that all consumers know.
      - V(retiring) ends the value before, V(retired) says that nobody accepts it any more.
      - V(abandoned) drops a new value that nobody uses.
      - A secret that is not in the state before is left as it is.
    type: str
    choices: [planned, begun, switching, committed, settled, retiring, retired, withdrawn, abandoned]
    default: planned
  variables:
    description: The secrets to bring a step further, by the name of their variable.
    type: list
    elements: str
    default: []
  secrets:
    description: With V(planned), the secrets that are asked for, by the name of their variable or in the backend.
    type: list
    elements: str
    default: []
  class:
    description: With V(planned), the class that is asked for. V(certificate) is that of the hosts' certificates.
    type: str
    default: ''
  overdue:
    description: With V(planned), whether all secrets are asked for that have been in use for longer than the policy allows.
    type: bool
    default: false
  retire:
    description: With V(planned), whether values before end now, rather than when their time is over. It makes no new ones.
    type: bool
    default: false
  abandon:
    description: With V(planned), whether new values are dropped that are not the current ones yet.
    type: bool
    default: false
  reason:
    description: Why. With V(exposure) the value before ends as soon as the new one is in use.
    type: str
    default: ''
  ca_key:
    description: File of the environment's authority's key, which C(pki_ca_passphrase) opens.
    type: path
    default: ''
  options:
    description: Options of P(techsaas.hardened.secret#lookup) that replace what the environment's variables say.
    type: dict
    default: {}
  lock_timeout:
    description: Seconds to wait for another run that is making secrets.
    type: float
    default: 30
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
  - plugin: techsaas.hardened.secret
    plugin_type: lookup
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: See what is overdue
  techsaas.hardened.secret_rotate:
    overdue: true
  register: plan

- name: Make the new values
  techsaas.hardened.secret_rotate:
    state: begun
    variables: "{{ plan.agenda.begin }}"
"""

RETURN = r"""
rotations:
  description: Each secret that the backend has, and what is to be done about it.
  returned: state is planned
  type: list
  elements: dict
  contains:
    variable:
      description: Name of its variable.
      type: str
    name:
      description: Its name in the backend.
      type: str
    class:
      description: Its class.
      type: str
    kind:
      description: How it is replaced.
      type: str
    action:
      description: C(rotate), C(resume), C(retire), C(abandon), C(by hand), or C(none).
      type: str
    state:
      description: How far its rotation is - C(idle), C(pending), C(switching), C(committed), C(overlap), or C(retiring).
      type: str
    why:
      description: The reason.
      type: str
    status:
      description: As P(techsaas.hardened.rotation_status#filter) has it.
      type: str
lines:
  description: The same for people, a line for each secret.
  returned: state is planned
  type: list
  elements: str
agenda:
  description: What C(rotate.yml) has to do.
  returned: state is planned
  type: dict
advanced:
  description: The secrets that are a step further than before.
  returned: state is not planned
  type: list
  elements: str
problem_code:
  description: Class of the failure, for example C(ROTATION_REFUSED).
  returned: failure
  type: str
problem_rule:
  description: What is wrong.
  returned: failure
  type: str
problem_fix:
  description: What to do about it.
  returned: failure
  type: str
"""

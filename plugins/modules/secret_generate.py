#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret_generate
short_description: Makes secrets in the backend that the environment has chosen
version_added: 0.1.0
description:
  - Generates secrets on the controller, holds them against the collection's own rules, writes them into the backend that
    P(techsaas.hardened.secret#lookup) reads, and records class, version, date, and a keyed fingerprint of each in the registry.
  - Runs once, on the controller, whatever the play's hosts; it needs no connection. Values are in no result, diff, or file in clear.
  - In a vault file only the values concerned change; comments, order, and everything else stay. It is decrypted in memory, encrypted
    again for its own vault id, and replaced as a whole, with mode and owner as before. The file that was there before stays beside it as
    C(FILE.bak), as encrypted as it was.
  - A run that was killed between backend and registry is made good by the next one. One run at a time works with a registry.
  - The fingerprints are by a key that the first run makes and keeps in the backend as C(hardened_fingerprint_key). Entries of the
    registry are sealed with it; one that was changed by hand is reported and left as it is.
notes:
  - Codes of failures are those of P(techsaas.hardened.secret#lookup), and C(CLASS), C(CONFLICT), C(LOCKED), C(REGISTRY),
    C(REGISTRY_EDITED), C(REGISTRY_KEY), C(VAULT_ID), C(VAULT_SHAPE), C(WEAK), C(WRITE). A failure has them in RV(problem_code),
    RV(problem_rule), and RV(problem_fix).
options:
  names:
    description:
      - Names of secrets, C(NAME) or C(NAME.KEY), as in P(techsaas.hardened.secret#lookup).
    type: list
    elements: str
    required: true
    aliases: [name]
  class:
    description:
      - Class of the secrets, from which P(techsaas.hardened.rotation_status#filter) tells how long they may be used. Its policy knows
        V(admin_api_key), V(service_account), V(database), and V(encryption_key).
    type: str
    required: true
  state:
    description:
      - V(present) makes the secrets that do not exist, and registers those that exist but are not registered, with the date that the
        backend knows.
      - V(rotated) makes a new value for each, every time.
    type: str
    choices: [present, rotated]
    default: present
  format:
    description:
      - Characters that the secrets are made of.
    type: str
    choices: [base64, hex, urlsafe, alnum]
    default: base64
  length:
    description:
      - Number of characters, from 32 to 1024.
    type: int
    default: 64
  options:
    description:
      - Options of P(techsaas.hardened.secret#lookup) that replace what the environment's variables say, for example C(backend) or C(file).
    type: dict
    default: {}
  lock_timeout:
    description:
      - Seconds to wait for another run that is making secrets.
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
    details: Reads the backend and the registry, and says what it would make.
  connection:
    support: none
  delegation:
    support: none
  diff_mode:
    support: full
    details: Shows names, versions, and that a secret changed.
  platform:
    support: full
    platforms: all
seealso:
  - plugin: techsaas.hardened.secret
    plugin_type: lookup
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Make the keys of the API where there are none
  techsaas.hardened.secret_generate:
    names: [app_secret_key]
    class: encryption_key

- name: Give the database's account another password
  techsaas.hardened.secret_generate:
    name: database.password
    class: database
    format: alnum
    state: rotated
"""

RETURN = r"""
secrets:
  description: What became of each secret, in the order of O(names).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    class:
      description: Its class.
      type: str
    action:
      description:
        - C(created), C(rotated), C(registered) (it was there, or was changed by somebody else, and is now known), C(reclassified),
          C(repaired) (an earlier run had been killed), or C(unchanged).
      type: str
    version:
      description: Its version, as the backend counts them, or as the registry does for a vault file.
      type: str
    created:
      description: When it was made (UTC, ISO 8601), or null where nobody knows.
      type: str
problem_code:
  description: Class of the failure, for example C(NOT_FOUND).
  returned: failure of the backend or the registry
  type: str
problem_rule:
  description: What is wrong.
  returned: failure of the backend or the registry
  type: str
problem_fix:
  description: What to do about it.
  returned: failure of the backend or the registry
  type: str
"""

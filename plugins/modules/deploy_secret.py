#!/usr/bin/python
# Copyright: Contributors to techsaas.hardened
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents the action plugin of this name, which does the work by way of config_set."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deploy_secret
short_description: Put secrets on a host as systemd credentials, encrypted at rest
version_added: 0.1.0
author: Contributors to techsaas.hardened (@techsaas)
description:
  - Each secret becomes a file that only this host can decrypt, with its own key and its TPM2 where it has one. A unit gets it with
    C(LoadCredentialEncrypted=NAME), in memory, while it runs.
  - The secrets of one O(name) are one set, as in M(techsaas.hardened.config_set). They change together, the services take them over,
    and the previous ones come back when that fails. One that is no longer in the list is removed.
  - Refuses to run in any way that would leave a value in clear in a file. That is the case with C(async), with a connection that
    cannot pipeline, and with E(ANSIBLE_KEEP_REMOTE_FILES).
  - An unchanged secret is one decryption on the host and changes nothing.
options:
  name:
    description: Identity of the set of secrets on the host, such as the service that uses them.
    type: str
    required: true
  secrets:
    description: The secrets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the credential, 1 to 64 of C(A-Z a-z 0-9 _ . @ -). It is sealed into the file, which has the same name.
        type: str
        required: true
      value:
        description: The secret. Must not be empty.
        type: str
        required: true
      not_after:
        description: Last day (C(YYYY-MM-DD), until 00:00:01 UTC) on which systemd decrypts it. Not bound in time when omitted.
        type: str
  directory:
    description: Where the encrypted files lie. The default is where systemd looks by itself.
    type: path
    default: /etc/credstore.encrypted
  services:
    description: The units that use the secrets, as in M(techsaas.hardened.config_set).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit.
        type: str
        required: true
      state:
        description: State to verify on every run.
        type: str
        choices: [started, stopped, unmanaged]
        default: started
      enabled:
        description: Whether the unit starts at boot; left alone when omitted.
        type: bool
      on_change:
        description: How the unit takes over changed secrets. Credentials are read at start, so this is V(restart) for most.
        type: str
        choices: [reload, restart, none]
        default: reload
  probe:
    description: What has to succeed after a change, or the previous secrets are put back; as in M(techsaas.hardened.config_set).
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows that a secret changes, never how.
    support: full
seealso:
  - module: techsaas.hardened.config_set
"""

EXAMPLES = r"""
- name: Give the mailer its key
  techsaas.hardened.deploy_secret:
    name: mailer
    secrets:
      - name: mailer.api_key
        value: "{{ lookup('techsaas.hardened.secret', 'mailer_api_key') }}"
        not_after: '2027-06-30'
    services:
      - {name: mailer.service, on_change: restart}
"""

RETURN = r"""
files_changed:
  description: Paths of the credentials that were changed, created or removed; in check mode, that would be.
  returned: always
  type: list
  elements: str
put_back:
  description: Whether the previous secrets were put back.
  returned: always
  type: bool
services:
  description: What was done to which unit.
  returned: always
  type: dict
"""

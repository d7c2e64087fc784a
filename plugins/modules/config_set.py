#!/usr/bin/python
# Copyright: Contributors to techsaas.hardened
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of module_utils/config_set towards Ansible, on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: config_set
short_description: Bring the whole configuration of a service into place, judged, atomic, and undone on failure
version_added: 0.1.0
author: Contributors to techsaas.hardened (@techsaas)
description:
  - Treats all files of a service's configuration as one set. The set is rendered on the controller, shipped in one round trip, compared,
    judged as a whole by the service's own checkers at its real paths without touching the live files, swapped in, taken over by the
    service, and probed.
  - When anything fails the previous set is put back, the service takes it over again, and the task fails with the checker's own words.
  - A run that is killed at any point is finished or undone by the next run of the same set.
  - A set that needs no change costs one round trip and at most one subprocess on the host.
  - A file that was in the set's last run and no longer is gets removed.
options:
  name:
    description:
      - Identity of the set on the host. Its state (manifest, journal, previous sets) lies in C(/var/lib/hardened/config_set/NAME).
    type: str
    required: true
  files:
    description: The files of the set.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host. Missing parent directories are created, C(0755), and removed when no longer needed.
        type: str
        required: true
      template:
        description:
          - Name of a template, looked up and rendered as by M(ansible.builtin.template).
          - Exactly one of O(files[].template), O(files[].content) and O(files[].source) is needed unless O(files[].state=absent).
        type: str
      content:
        description: The content itself.
        type: str
      source:
        description: Name of a file, looked up as by M(ansible.builtin.copy) and shipped as it is.
        type: str
      state:
        description: Whether the file has to be there.
        type: str
        choices: [present, absent]
        default: present
      owner:
        description: Name or id of the owner.
        type: str
        default: root
      group:
        description: Name or id of the group.
        type: str
        default: root
      mode:
        description: Permissions as a quoted octal string.
        type: raw
        default: '0644'
      secret:
        description: Hides the whole content in diffs, and its words in messages.
        type: bool
        default: false
      on_change:
        description:
          - What a change of this file asks of the services, instead of what each service says itself.
        type: str
        choices: [reload, restart, none]
      credential:
        description:
          - Store the content as a systemd credential, encrypted with the host's own key and its TPM2 where it has one, for a unit's
            C(LoadCredentialEncrypted=). In clear it is on the host only in memory. Implies O(files[].secret).
          - What lies there is decrypted and compared, so an unchanged secret stays as it is although each encryption differs.
        type: dict
        suboptions:
          name:
            description: Name that is sealed into the credential. The unit has to load it by this name.
            type: str
            required: true
          not_after:
            description: Last day (C(YYYY-MM-DD), until 00:00:01 UTC) on which systemd decrypts it. Not bound in time when omitted.
            type: str
  directories:
    description: Directories with given owner and mode.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      owner:
        description: Name or id of the owner.
        type: str
        default: root
      group:
        description: Name or id of the group.
        type: str
        default: root
      mode:
        description: Permissions as a quoted octal string.
        type: raw
        default: '0755'
      purge:
        description:
          - Remove files and links below the directory that no set owns and this one does not watch. They are kept with the previous set.
        type: bool
        default: false
      exclude:
        description: Shell patterns, matched against name and relative path, of what O(directories[].purge) spares.
        type: list
        elements: str
        default: []
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: str
        required: true
      target:
        description: What the link says.
        type: str
        required: true
  watch:
    description:
      - Absolute paths of files that the set does not own but its services read, such as certificates that somebody else renews.
      - When the content of one is no longer what it was at the end of the last run, or the file appeared or disappeared, the checkers
        judge and the services take it over as if a file of the set had changed. A service that this run starts needs nothing more.
      - The comparison is by hash, kept with the set's state. So name certificates, not their keys; a new key comes with a new certificate.
      - Each entry is a path, or a dictionary with C(path) and C(on_change), which is V(reload) or V(restart) and stands for what each
        service says itself.
      - A file that was not watched in the last run is recorded without a change, whatever its services have read of it.
    type: list
    elements: raw
    default: []
  check:
    description:
      - Commands, each a list of words, that judge the set. All have to exit with 0 before anything live is touched.
      - They see the whole future set at its real absolute paths, in a mount namespace of their own.
    type: list
    elements: list
    default: []
  check_timeout:
    description: Seconds that one checker may take.
    type: float
    default: 60.0
  services:
    description: The systemd units that use the set.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the unit.
        type: str
        required: true
      state:
        description: State to verify on every run; V(unmanaged) leaves it alone, yet a running unit still takes over a changed set.
        type: str
        choices: [started, stopped, unmanaged]
        default: started
      enabled:
        description: Whether the unit starts at boot; left alone when omitted.
        type: bool
      on_change:
        description: How the unit takes over a changed set. V(restart) of one file wins over V(reload) of another.
        type: str
        choices: [reload, restart, none]
        default: reload
  probe:
    description: What has to succeed after a change, or the previous set is put back. Each probe is exactly one of the four kinds.
    type: list
    elements: dict
    default: []
    suboptions:
      command:
        description: A list of words; it has to exit with 0.
        type: list
        elements: str
      tcp:
        description: An address C(host:port) that has to accept a connection.
        type: str
      http:
        description: A request that has to be answered.
        type: dict
        suboptions:
          url:
            description: The URL, http or https.
            type: str
            required: true
          status:
            description: Status codes that mean success. Redirects are not followed.
            type: list
            elements: int
            default: [200]
          ca_file:
            description: File on the host with the certificates to trust.
            type: str
          headers:
            description: Headers to send.
            type: dict
            default: {}
      socket:
        description: Path of a Unix stream socket that has to accept a connection.
        type: str
      deadline:
        description: Seconds after which the probe has failed.
        type: float
        default: 30.0
      interval:
        description: Seconds between two tries.
        type: float
        default: 0.5
  secrets:
    description:
      - Values to hide wherever they appear in diffs, messages and results, also within a line. Empty ones are ignored.
    type: list
    elements: str
    default: []
  keep:
    description: How many previous sets are kept on the host.
    type: int
    default: 1
  mode:
    description:
      - V(judge) compares the set and lets the checkers judge it, as check mode does, but nothing counts as changed. For a look before a
        run, by way of C(module_defaults). A set that is wanted just as it was put in place last, by what M(techsaas.hardened.host_info)
        has told, has been judged and costs no round trip.
    type: str
    choices: [apply, judge]
    default: apply
  skip_settled:
    description:
      - Leaves out the round trip for a set that M(techsaas.hardened.host_info) with O(techsaas.hardened.host_info#module:settled=true)
        has found in place on this host in this very run of Ansible, if just that is wanted and no task of this collection has changed
        anything on the host since.
      - For playbooks that know what comes in between, by way of C(module_defaults). A set with secrets is always looked at.
    type: bool
    default: false
  contents:
    description: Filled in by the action plugin with the rendered files. Not for use in tasks.
    type: str
  digest:
    description: Filled in by the action plugin with a hash of all that the set wants, unless it holds secrets. Not for use in tasks.
    type: str
    default: ''
attributes:
  check_mode:
    description: Plans truthfully and lets the checkers judge where they are installed; changes nothing.
    support: full
  diff_mode:
    description: Shows every file, secrets hidden.
    support: full
seealso:
  - module: ansible.builtin.template
"""

EXAMPLES = r"""
- name: Configure nginx as one set
  techsaas.hardened.config_set:
    name: nginx
    files:
      - path: /etc/nginx/nginx.conf
        template: nginx.conf.j2
        on_change: restart
      - path: /etc/nginx/sites-available/api.conf
        template: api.conf.j2
      - path: /etc/nginx/api-keys.map
        content: "{{ api_keys | to_json }}"
        mode: '0640'
        group: www-data
        secret: true
    directories:
      - path: /etc/nginx/sites-enabled
        purge: true
    links:
      - path: /etc/nginx/sites-enabled/api.conf
        target: ../sites-available/api.conf
    watch:
      - /etc/hardened/pki/edge.crt
      - {path: /etc/hardened/pki/ca.crt, on_change: restart}
    check:
      - [nginx, -t]
    services:
      - name: nginx.service
        enabled: true
    probe:
      - http:
          url: https://localhost/healthz
          ca_file: /etc/hardened/pki/ca.crt
        deadline: 20
    secrets:
      - "{{ upstream_password }}"
"""

RETURN = r"""
files_changed:
  description: Paths that were changed, created or removed; in check mode, that would be.
  returned: always
  type: list
  elements: str
action:
  description: The strongest thing done to a service, one of none, stop, reload, start, restart.
  returned: always
  type: str
services:
  description: What was done to which unit.
  returned: always
  type: dict
judged:
  description: Whether the checkers have judged the set in this run.
  returned: always
  type: bool
recovered:
  description: What became of an earlier, killed run, one of none, finished, undone.
  returned: always
  type: str
put_back:
  description: Whether files of the previous set were put back.
  returned: always
  type: bool
diff:
  description: The changes, file by file, secrets hidden. Of a watched file only its name.
  returned: always
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.arguments import (
    ARGUMENT_SPEC,
    to_spec,
)
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.engine import Engine
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.errors import ConfigSetError
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.result import masker_for, to_result
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.settled import remember
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import Systemd


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if module.params["contents"] is None:
        module.fail_json(msg="config_set renders and checks its files in its action plugin; use it as a task")
    run(module)


def run(module: Any) -> None:
    judging = module.params["mode"] == "judge"
    spec = to_spec(module.params)
    engine = Engine(spec, Systemd())
    error = None
    try:
        if module.check_mode or judging:
            engine.plan()
        else:
            engine.apply()
            remember(engine.directory, module.params)
    except (ConfigSetError, OSError) as caught:
        error = caught
        engine.outcome.failed(error)
    masker = masker_for(spec, engine.outcome)
    result = to_result(engine.outcome, masker)
    if judging:
        result.update(changed=False, diff=[])
    else:
        for warning in engine.outcome.warnings:
            module.warn(masker.text(warning))
    if error is None:
        module.exit_json(**result)
    else:
        # Without the exception itself: its text is not masked.
        module.fail_json(
            msg=masker.text(f"configuration set '{spec.name}': {error}"), exception=None, **result
        )


if __name__ == "__main__":
    main()

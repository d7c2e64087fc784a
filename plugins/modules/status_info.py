#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: status_info
short_description: How a host of the fleet is
version_added: 0.1.0
description:
  - What serves, what is blocked, revoked, closed or open as an incident, certificates, backups, units that failed, and configuration that
    was changed outside of a run. Reads only, in one round trip. P(techsaas.hardened.fleet_status#filter) makes a page of it.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
seealso:
  - module: techsaas.hardened.host_info
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Look at each host
  techsaas.hardened.status_info:
  register: fleet_status
"""

RETURN = r"""
status:
  description: What was found.
  returned: success
  type: dict
  contains:
    records:
      description:
        - Records of the host by name (C(backup), C(blocklist), C(drain), C(drill), C(incident), C(release), C(updates),
          C(updates_pending), C(upkeep)), as far as there are any.
      type: dict
    records_unreadable:
      description: Name of each record that cannot be read, with the reason.
      type: dict
    units_failed:
      description: Units of systemd that have failed.
      type: list
      elements: str
    timers:
      description: Timers of this collection with C(unit), C(next) and C(last), in seconds since 1970, 0 for never.
      type: list
      elements: dict
    certificates:
      description: Path of each certificate, with the end of its time (UTC).
      type: dict
    reboot_required:
      description: Whether Debian wants the host to be restarted.
      type: bool
    upkeep_days:
      description: Within how many days each upkeep of P(techsaas.hardened.maintenance#role) is due again.
      type: dict
    disk_used:
      description: File systems with the percentage that is used.
      type: dict
    sets_changed:
      description: Sets of M(techsaas.hardened.config_set) that do not lie there as the last run has left them.
      type: list
      elements: str
    edge:
      description: On an edge C(weights) of the slots in percent, C(maintenance) (empty when it is open), and C(revoked) keys.
      type: dict
    alerts_waiting:
      description: On a collector, channels with the number of alerts that they have not taken yet.
      type: dict
    hosts_silent:
      description: On a collector, hosts from which nothing comes.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils import host_status
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.settled import unsettled
from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import Systemd


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)

    def ask(command: list[str]) -> str:
        if not module.get_bin_path(command[0]):
            return ""
        status, output, _words = module.run_command(command)
        return str(output) if status == 0 else ""

    status = host_status.collect(ask)
    module.exit_json(changed=False, status={**status, "sets_changed": unsettled(Systemd())})


if __name__ == "__main__":
    main()

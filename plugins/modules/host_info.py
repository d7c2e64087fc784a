#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_info
short_description: Everything the roles of this collection need to know about a host, in one round trip
version_added: 0.1.0
description:
  - Reads the host's release, resources, addresses, installed packages, certificates, and the records that this
    collection keeps under C(/var/lib/hardened), and returns them as the fact C(hardened_host).
  - Changes nothing, starts no process unless O(settled=true), and asks no name server. It replaces M(ansible.builtin.setup) and
    M(ansible.builtin.package_facts) for the roles of this collection at a small part of their cost.
options:
  packages:
    description:
      - Names of packages whose versions to return.
      - The empty list returns all installed packages, which is what M(techsaas.hardened.packages) wants.
    type: list
    elements: str
    default: []
  certificates:
    description:
      - Absolute paths of PEM files to return. Only certificates and revocation lists are taken from them, never a
        private key.
    type: list
    elements: str
    default: []
  records:
    description:
      - Whether to return the parsed JSON records of C(/var/lib/hardened).
    type: bool
    default: true
  settled:
    description:
      - Whether to compare the sets of M(techsaas.hardened.config_set) with what lies on the host, and their units, which asks systemd.
      - Later tasks of the same run need no round trip of their own for a set that is just as wanted, if they say so with
        O(techsaas.hardened.config_set#module:skip_settled=true).
    type: bool
    default: false
  fail:
    description:
      - Whether a host that cannot be reached, or cannot run modules, fails the task.
      - With V(false) such a host has RV(problems) and no facts, and stays in the play, so that
        M(techsaas.hardened.preflight_report) can list it among all other problems.
    type: bool
    default: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: debian
requirements:
  - Python 3.9 or newer on the host
seealso:
  - module: techsaas.hardened.packages
author:
  - The techsaas.hardened maintainers (@techsaas)
"""

EXAMPLES = r"""
- name: Learn what the host has
  techsaas.hardened.host_info:
    certificates:
      - /etc/hardened/pki/host.crt

- name: Renew a certificate that is not there
  ansible.builtin.include_tasks: issue.yml
  when: "'/etc/hardened/pki/host.crt' not in ansible_facts.hardened_host.certificates"
"""

RETURN = r"""
problems:
  description: Why nothing is known about the host; empty when all went well.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: V(UNREACHABLE) or V(HOST_INFO).
      type: str
    message:
      description: What was answered.
      type: str
    fix:
      description: What to do about it.
      type: str
ansible_facts:
  description: The facts, all under one name.
  returned: always
  type: dict
  contains:
    hardened_host:
      description: What is known about the host.
      returned: always
      type: dict
      contains:
        distribution:
          description: Identifier of the distribution.
          type: str
          sample: debian
        release:
          description: Code name of the release.
          type: str
          sample: bookworm
        version:
          description: Version of the release.
          type: str
          sample: '12'
        architecture:
          description: Debian's name of the architecture.
          type: str
          sample: amd64
        machine:
          description: The kernel's name of the architecture.
          type: str
          sample: x86_64
        kernel:
          description: Release of the running kernel.
          type: str
          sample: 6.1.0-37-amd64
        python:
          description: Version of the Python that runs modules.
          type: str
          sample: 3.11.2
        hostname:
          description: Host name without a domain.
          type: str
          sample: app-1
        fqdn:
          description: Full name as C(/etc/hosts) gives it, otherwise the host name.
          type: str
          sample: app-1.example.net
        addresses:
          description: Global addresses, those of the default route's interface first.
          type: list
          elements: str
          sample: [192.0.2.10, '2001:db8::10']
        address:
          description: The first of RV(ansible_facts.hardened_host.addresses).
          type: str
          sample: 192.0.2.10
        memory_mb:
          description: Memory in MiB, or the control group's limit if that is smaller.
          type: int
          sample: 7956
        cpus:
          description: Processors that may be used.
          type: int
          sample: 4
        disk_free_mb:
          description: Free MiB of the root file system and of well-known directories that are file systems of their own.
          type: dict
          sample: {"/": 18211, "/var/lib/docker": 90112}
        time:
          description: The host's clock, in seconds since 1970.
          type: float
          sample: 1764000000.25
        clock_skew:
          description:
            - Seconds by which the host's clock is ahead of the controller's, as far as the round trip can tell; a
              difference smaller than the uncertainty of the measurement is 0.
          type: float
          sample: 0.0
        packages:
          description: Name and version of installed packages.
          type: dict
          sample: {nginx: 1.22.1-9+deb12u2}
        packages_complete:
          description: Whether all installed packages are listed, not only those that were asked for.
          type: bool
        apt_lists:
          description: Whether apt has ever downloaded its lists of packages.
          type: bool
        certificates:
          description: Path and PEM text of those certificates that exist.
          type: dict
        records:
          description: Name and content of each record.
          type: dict
        records_unreadable:
          description: Name of each record that could not be read, with the reason.
          type: dict
        config_sets:
          description:
            - Names of the sets of M(techsaas.hardened.config_set) that are in place, each with a hash of what it was made of. Empty
              where secrets are part of it.
          type: dict
          sample: {app-blue: '', app-listener: 8c6c2b0a...}
        cgroup_version:
          description: Version of the control groups in use (1 also means hybrid).
          type: int
          sample: 2
        virtualization:
          description: V(none), or the name of the container manager or hypervisor.
          type: str
          sample: kvm
        service_manager:
          description: V(systemd) when the host was booted with it, otherwise V(unknown).
          type: str
          sample: systemd
        systemd_version:
          description: Version of the installed systemd, 0 if there is none.
          type: int
          sample: 252
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.techsaas.hardened.plugins.module_utils.host_facts import collect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "certificates": {"type": "list", "elements": "str", "default": []},
            "records": {"type": "bool", "default": True},
            "settled": {"type": "bool", "default": False},
            "fail": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    facts = collect(params["packages"], params["certificates"], params["records"])
    module.exit_json(
        changed=False,
        ansible_facts={"hardened_host": facts},
        settled=_settled() if params["settled"] else {},
    )


def _settled() -> dict[str, str]:
    # Only who asks for it pays for it.
    from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.settled import settled
    from ansible_collections.techsaas.hardened.plugins.module_utils.config_set.systemd import Systemd

    return settled(Systemd())


if __name__ == "__main__":
    main()

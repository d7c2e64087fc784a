# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of all plugins shares that judge a fleet on the controller."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  fail:
    description:
      - Whether a problem fails the task. With V(false) the result alone tells.
    type: bool
    default: true
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  async:
    support: none
    description: Can be used with C(async).
  become:
    support: none
    description: Can be used with C(become).
  bypass_host_loop:
    support: full
    description: Runs once, for all hosts.
  check_mode:
    support: full
    description: Can run in check mode, and does there what it always does.
    details: Nothing is ever changed.
  connection:
    support: none
    description: Uses the host's connection.
  delegation:
    support: none
    description: Can be delegated to another host.
  diff_mode:
    support: none
    description: Shows what was changed.
  platform:
    support: full
    description: Systems that it can judge.
    platforms: all
"""

# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes what a run did on each host to the file named by BENCH_COUNTS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_count
type: notification
short_description: Counts tasks for each host
description: Writes the run's recap as JSON to the file named by the environment variable BENCH_COUNTS.
requirements:
  - Enabled by tests/bench/bench.py.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_count"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_stats(self, stats: Any) -> None:
        counts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        Path(os.environ["BENCH_COUNTS"]).write_text(json.dumps(counts), encoding="utf-8")

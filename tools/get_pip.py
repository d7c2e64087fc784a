# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script that ansible-test would download: pip comes with Python, its version from PyPI."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, because ensurepip switches pip's configuration off for the process it runs in.
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
# ansible-test hands over pip's own options and the versions it wants; --no-setuptools and --no-wheel are get-pip's.
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *wanted]))

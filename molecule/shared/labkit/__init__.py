# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: real Debian hosts under podman, on which the collection is developed, shown and tested."""

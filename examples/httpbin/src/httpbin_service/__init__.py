# SPDX-License-Identifier: GPL-3.0-or-later
"""httpbin as this image serves it."""

from httpbin import app

__all__ = ["app"]

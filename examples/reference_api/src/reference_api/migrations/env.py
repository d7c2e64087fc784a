# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's entry: runs inside the transaction that schema.migrate holds, and nowhere else."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()

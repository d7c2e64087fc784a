# SPDX-License-Identifier: GPL-3.0-or-later
"""How large an item is. Images before this one write none, so that it may be missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
oldest_compatible = "0001"
phase = "expand"
UNFILLED = "SELECT EXISTS (SELECT FROM items WHERE size IS NULL)"


def upgrade() -> None:
    op.add_column("items", sa.Column("size", sa.BigInteger))


def backfill(connection: sa.Connection, rows: int) -> int:
    """Fill in at most so many; how many there were."""
    statement = """
        UPDATE items SET size = octet_length(content)
        WHERE id IN (SELECT id FROM items WHERE size IS NULL ORDER BY id LIMIT :rows)
    """
    return connection.execute(sa.text(statement), {"rows": rows}).rowcount


def downgrade() -> None:
    raise NotImplementedError("migrations go forward only: restore a backup instead")

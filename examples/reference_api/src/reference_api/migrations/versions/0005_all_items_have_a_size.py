# SPDX-License-Identifier: GPL-3.0-or-later
"""All items have a size, which is looked up while others read and write."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
oldest_compatible = "0003"
phase = "contract"


def upgrade() -> None:
    op.execute("ALTER TABLE items VALIDATE CONSTRAINT items_have_a_size")


def downgrade() -> None:
    raise NotImplementedError("migrations go forward only: restore a backup instead")

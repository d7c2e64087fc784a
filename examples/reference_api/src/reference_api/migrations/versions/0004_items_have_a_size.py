# SPDX-License-Identifier: GPL-3.0-or-later
"""New items have a size. An image before 0003 cannot store any from here on."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
oldest_compatible = "0003"
phase = "contract"


def upgrade() -> None:
    # Holds the table for a moment only: what is there already is looked at by the next one.
    op.execute("ALTER TABLE items ADD CONSTRAINT items_have_a_size CHECK (size IS NOT NULL) NOT VALID")


def downgrade() -> None:
    raise NotImplementedError("migrations go forward only: restore a backup instead")

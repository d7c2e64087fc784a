# SPDX-License-Identifier: GPL-3.0-or-later
"""An index for the pages of a client's items."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
oldest_compatible = "0001"
phase = "expand"


def upgrade() -> None:
    op.create_index("items_client_id", "items", ["client", "id"])


def downgrade() -> None:
    raise NotImplementedError("migrations go forward only: restore a backup instead")

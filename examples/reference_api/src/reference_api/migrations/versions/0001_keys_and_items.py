# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
# The oldest image, by its head, that still works once this migration is in.
oldest_compatible = "0001"
# expand, before the release, or contract, when nobody goes back any more.
phase = "expand"


def upgrade() -> None:
    op.create_table(
        "schema_support",
        sa.Column("singleton", sa.Boolean, sa.CheckConstraint("singleton"), primary_key=True),
        sa.Column("oldest_compatible", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO schema_support VALUES (true, '{oldest_compatible}')")  # noqa: S608 (a constant)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, sa.ForeignKey("api_keys.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    raise NotImplementedError("migrations go forward only: restore a backup instead")

"""Devices say how their latencies were measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what is there already it is not known."""
    op.add_column("devices", sa.Column("settings", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("devices", "settings")

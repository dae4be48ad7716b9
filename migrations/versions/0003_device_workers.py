"""Runs say how many workers shared their device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what is there already it is not known."""
    op.add_column("runs", sa.Column("device_workers", sa.Integer(), nullable=True))

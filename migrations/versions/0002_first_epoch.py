"""Recipes say whether epoch 1 of their runs was overwritten with the best epoch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of what is there already nothing is known, which is as if it were not so."""
    column: sa.Column[bool] = sa.Column(
        "first_epoch_is_best", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("recipes", column)

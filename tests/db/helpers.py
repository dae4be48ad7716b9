"""What tests of databases share."""

from __future__ import annotations

import shutil
from pathlib import Path

from bloxdb.db import revisions

NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0004", "0003"
def upgrade():
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("remark", sa.Text()))
    {more}
"""


def next_scripts(folder: Path, more: str = "") -> Path:
    """A copy of the shipped migrations with one more revision, as a later bloxdb would have it."""
    shutil.copytree(revisions.shipped_scripts(), folder)
    (folder / "versions" / "0003_remark.py").write_text(NEXT.format(more=more))
    return folder

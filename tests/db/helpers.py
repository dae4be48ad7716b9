"""What tests of databases share."""

from __future__ import annotations

import shutil
from pathlib import Path

from alembic import command

from bloxdb import Database
from bloxdb.db import revisions

NEXT_REVISION = f"{int(revisions.REVISION) + 1:04}"

NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{next}", "{now}"
def upgrade():
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("remark", sa.Text()))
    {more}
"""


def next_scripts(folder: Path, more: str = "") -> Path:
    """A copy of the shipped migrations with one more revision, as a later bloxdb would have it."""
    shutil.copytree(revisions.shipped_scripts(), folder)
    revision = NEXT.format(next=NEXT_REVISION, now=revisions.REVISION, more=more)
    (folder / "versions" / f"{NEXT_REVISION}_remark.py").write_text(revision)
    return folder


def downgrade(db: Database, revision: str) -> None:
    """Bring a database to an earlier revision, as alembic does."""
    config = revisions.alembic_config()
    with db.autocommit() as connection, db.engines.migration(connection):
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

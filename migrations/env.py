"""What alembic runs: on the connection that bloxdb hands over, or, for developers, on alembic.ini's URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from bloxdb.db.creation import connect_for_developers
from bloxdb.db.dialects import engines_of
from bloxdb.db.schema import Base


def run(connection: Connection) -> None:
    """Run the migrations in the transaction that is open on the connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=engines_of(connection.dialect).RECREATES,
    )
    context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is not None:
    run(connection)
else:
    with connect_for_developers(context.config.get_main_option("sqlalchemy.url") or "") as own:
        run(own)

"""Making a database, and bringing it to another revision: schema, first fill, copies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.db import revisions
from bloxdb.db.connection import APPLICATION_ID, BEGIN, unchecked
from bloxdb.db.schema import Arch, Base, Block, StaticInfo
from bloxdb.errors import DatabaseError
from bloxdb.space import costs

if TYPE_CHECKING:
    from bloxdb.db.database import Database


def build(db: Database) -> None:
    """The schema and what the search space alone determines, in a database that has nothing."""
    if db.path is not None:
        with db.engine.execution_options(**{BEGIN: ""}).connect() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    migrate(db, None)
    with db.transaction() as session:
        _fill(session)
    if db.path is not None:
        with db.engine.execution_options(**{BEGIN: ""}).connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def migrate(db: Database, scripts: Path | None) -> None:
    """All migrations in one transaction; foreign keys are off meanwhile, and checked at its end."""
    with db.engine.execution_options(**{BEGIN: ""}).connect() as connection:
        if db.path is None:
            revisions.migrate(connection, scripts)
            connection.commit()
            return
        # a batch operation recreates tables, and with foreign keys on that deletes their children
        with unchecked(connection):
            revisions.migrate(connection, scripts)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise DatabaseError(f"{db.name}: the migration broke {len(broken)} references")


def keep_copy(db: Database, revision: str) -> Path | None:
    """A whole copy beside the file, under a name that is not taken."""
    if db.path is None:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = db.path.with_name(f"{db.path.stem}.{revision}.{stamp}{db.path.suffix}")
    with db.engine.execution_options(**{BEGIN: ""}).connect() as connection:
        connection.execute(text("VACUUM INTO :copy"), {"copy": str(copy)})
    return copy


def _fill(session: Session) -> None:
    """Blocks, architectures and costs: what the search space alone determines."""
    session.execute(
        insert(Base.metadata.tables["blocks"]),
        [
            {
                Block.id.key: block.index,
                "scheme": block.scheme,
                "op1": block.op1,
                "op2": block.op2,
                "cell": space.cell_text(block.cell),
            }
            for block in space.BLOCKS
        ],
    )
    hashes = space.all_model_hashes()
    cells = [space.cell_text(block.cell) for block in space.BLOCKS]
    columns = [space.block_of_stage(np.arange(space.NUM_ARCHS), stage).tolist() for stage in range(3)]
    archs = [
        {"id": i, "hash": hashes[i], "block1_id": a, "block2_id": b, "block3_id": c,
         "vec": f"[{cells[a]},{cells[b]},{cells[c]}]"}
        for i, (a, b, c) in enumerate(zip(*columns, strict=True))
    ]  # fmt: skip
    session.execute(insert(Arch.__table__), archs)  # type: ignore[arg-type]
    infos = [
        {"arch_id": i, "flops": flops, "params": params}
        for i, (flops, params) in enumerate(costs.all_costs().tolist())
    ]
    session.execute(insert(StaticInfo.__table__), infos)  # type: ignore[arg-type]

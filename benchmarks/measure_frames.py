"""All epochs of a database as a table of Arrow, against ADBC alone."""

from __future__ import annotations

from pathlib import Path

from harness import baseline, clock, measurement

import bloxdb
from bloxdb.db.schema import EPOCH_MEASURES


@baseline
def adbc_epochs(work: Path) -> dict[str, float]:
    """The same rows and columns by ADBC alone."""
    import adbc_driver_sqlite.dbapi as adbc

    measures = ", ".join(f"epochs.{name}" for name in EPOCH_MEASURES)
    result: dict[str, float] = {}
    with adbc.connect(str(work / "full.db")) as connection, connection.cursor() as cursor, clock(result):
        cursor.execute(
            f"SELECT arch_id, name, seed, epoch, {measures} FROM epochs "  # noqa: S608
            "JOIN runs ON runs.id = run_id JOIN recipes ON recipes.id = recipe_id WHERE status = 'finished'"
        )
        cursor.fetch_arrow_table()
    return result


@measurement("all epochs to Arrow", bound=1.2, against=adbc_epochs)
def arrow_epochs(work: Path) -> dict[str, float]:
    """All epochs as an Arrow table."""
    result: dict[str, float] = {}
    with bloxdb.open(work / "full.db", read_only=True) as db, clock(result):
        bloxdb.to_arrow("epochs", db)
    return result

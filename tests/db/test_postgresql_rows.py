"""Very many epochs into PostgreSQL: as bytes, and into an empty table without its keys meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from typing import Any

import numpy as np
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import insert, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import bloxdb
from bloxdb import Database, Recipe, Run
from bloxdb.db.epochs import EpochWriter, read_epochs, whole_runs
from bloxdb.measures import MISSING, Array
from bloxdb.progress import Meter
from tests.servers import empty_on_server

RUNS, EPOCHS = 450, 50  # more rows than are added one by one
IDS = np.arange(1, RUNS + 1)

OF_EPOCHS = "(SELECT conrelid FROM pg_constraint WHERE conname = 'pk_epochs')"
"""The table with the rows of epochs; before PostgreSQL 18, `epochs` is a view of it."""

KEYS = f"SELECT conname, pg_get_constraintdef(oid) AS what FROM pg_constraint WHERE conrelid = {OF_EPOCHS}"


@pytest.fixture(scope="module")
def made() -> Iterator[Database]:
    with empty_on_server("rows") as url, bloxdb.create(url, current=False) as db:
        yield db


@pytest.fixture
def db(made: Database) -> Iterator[Database]:
    """Runs without epochs."""
    with made.transaction() as session:
        session.add(Recipe(id=1, name="r", dataset="d", epochs=EPOCHS))
        session.flush()
        rows = [
            {"id": i + 1, "arch_id": i, "recipe_id": 1, "seed": 0, "status": "finished"} for i in range(RUNS)
        ]
        session.execute(insert(Run.__table__), rows)  # type: ignore[arg-type]
    yield made
    with made.transaction() as session:
        for table in ("epochs", "runs", "recipes"):
            session.execute(text(f"DELETE FROM {table}"))


def measures() -> dict[str, Array]:
    """Both widths, and NULLs in a part of them."""
    draw = np.random.default_rng(3)
    found = {
        "val_top1": draw.integers(0, 100_000, (RUNS, EPOCHS)).astype(np.int32),
        "val_loss": draw.integers(-(2**40), 2**40, (RUNS, EPOCHS)),
        "train_top1": draw.integers(0, 100_000, (RUNS, EPOCHS)),
    }
    found["val_loss"][draw.random((RUNS, EPOCHS)) < 0.2] = MISSING
    found["train_top1"][draw.random((RUNS, EPOCHS)) < 0.2] = MISSING
    return found


def table_of(db: Database) -> str:
    return str(db.rows(f"SELECT {OF_EPOCHS}::regclass::text AS name")[0]["name"])


def keys_of(session: Session) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(text(KEYS + " ORDER BY conname"))]


def write(session: Session, ids: Array, given: dict[str, Array] | None = None) -> list[tuple[Any, ...]]:
    """Add epochs of runs; the keys that the table has before they are all there."""
    with EpochWriter(session, None, Meter(None, 1)) as writer:
        writer.write(ids, {name: values[: len(ids)] for name, values in (given or measures()).items()})
        meanwhile = keys_of(session)
        writer.flush()
    return meanwhile


def test_epochs_come_back_as_they_were_written_and_the_table_is_as_before(db: Database) -> None:
    with db.bulk_transaction() as session:
        before = keys_of(session)
        assert write(session, IDS) == []
        assert keys_of(session) == before
    names = list(measures())
    blocks = read_epochs([db.reader], IDS, [*names, "train_loss"])
    found = [part for block in blocks for part in whole_runs(block, "a gap")]
    order = np.argsort(np.concatenate([runs for runs, _ in found]))
    for name in names:
        together = np.concatenate([values[name] for _, values in found])
        assert np.array_equal(together[order], measures()[name])
    assert {int(value) for _, values in found for value in values["train_loss"].ravel()} == {MISSING}
    assert len(before) == 2


def test_rows_that_are_there_keep_their_keys(db: Database) -> None:
    with db.bulk_transaction() as session:
        write(session, IDS[:5])
    with db.bulk_transaction() as session:
        before = keys_of(session)
        assert write(session, IDS[5:]) == before
        assert keys_of(session) == before


@pytest.mark.parametrize(
    ("need", "end"),
    [
        (
            "CREATE VIEW mine AS SELECT {table}.*, count(*) FROM {table} GROUP BY run_id, epoch",
            "DROP VIEW mine",
        ),
        (
            "CREATE TABLE mine (a INT, b INT, FOREIGN KEY (a, b) REFERENCES {table} (run_id, epoch))",
            "DROP TABLE mine",
        ),
        ("UPDATE runs SET status = 'running' WHERE id = 1", "SELECT 1"),
    ],
    ids=["a view", "a table", "a worker"],
)
def test_keys_stay_where_somebody_needs_them(db: Database, need: str, end: str) -> None:
    table = table_of(db)
    with db.transaction() as session:
        session.execute(text(need.format(table=table)))
    try:
        with db.bulk_transaction() as session:
            before = keys_of(session)
            assert write(session, IDS) == before
    finally:
        with db.transaction() as session:
            session.execute(text(end))
    assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": RUNS * EPOCHS}]


def test_keys_stay_where_another_reads(db: Database) -> None:
    with (
        bloxdb.open(db.url.render_as_string(hide_password=False), current=False) as other,
        other.snapshot() as reading,
    ):
        reading.execute(text("SELECT count(*) FROM epochs"))
        with db.bulk_transaction() as session:
            before = keys_of(session)
            assert write(session, IDS) == before
        reading.execute(text("SELECT count(*) FROM epochs"))


def too_large() -> dict[str, Array]:
    found = measures()
    found["val_top1"] = found["val_top1"].astype(np.int64)
    found["val_top1"][-1, -1] = 2**31
    return found


@pytest.mark.parametrize(
    ("ids", "given", "what"),
    [
        (IDS, too_large(), "val_top1_milli has the value 2147483648"),
        (np.maximum(IDS, 2), measures(), "pk_epochs"),
        (IDS + 1, measures(), "fk_epochs_run_id_runs"),
    ],
    ids=["a value", "a run that is there twice", "a run that there is not"],
)
def test_an_error_leaves_the_table_as_it_was(
    db: Database, ids: Array, given: dict[str, Array], what: str
) -> None:
    with db.transaction() as session:
        before = keys_of(session)
    with pytest.raises((IntegrityError, bloxdb.DatabaseError), match=what), db.bulk_transaction() as session:
        write(session, ids, given)
    with db.transaction() as session:
        assert keys_of(session) == before
    assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 0}]


def test_an_epoch_takes_no_room_for_what_is_computed(db: Database) -> None:
    with db.bulk_transaction() as session:
        write(session, IDS, {**measures(), "train_top5": measures()["val_top1"]})
    row = db.rows(f"SELECT max(pg_column_size(t)) AS n FROM {table_of(db)} AS t")[0]["n"]
    assert row <= 24 + 2 * 4 + 4 * 4 + 2 * 8  # the server's own, keys, four accuracies, two losses
    read = "SELECT train_loss, val_top1, val_top1_milli FROM epochs WHERE run_id = 7 AND epoch = 3"
    assert db.rows(read) == [
        {
            "train_loss": None,
            "val_top1": measures()["val_top1"][6, 2] / 1000,
            "val_top1_milli": measures()["val_top1"][6, 2],
        }
    ]


def test_epochs_are_written_by_sql_as_on_sqlite(db: Database) -> None:
    with db.transaction() as session:
        session.execute(
            text("INSERT INTO epochs (run_id, epoch, val_top1_milli) VALUES (1, 1, 73140), (2, 1, 5)")
        )
        session.execute(text("UPDATE epochs SET val_top1_milli = 73150 WHERE val_top1 = 73.14"))
        session.execute(text("DELETE FROM epochs WHERE val_top1 < 1"))
    assert db.rows("SELECT run_id, val_top1, val_loss FROM epochs") == [
        {"run_id": 1, "val_top1": 73.15, "val_loss": None}
    ]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ((15, 4), {"CREATE TABLE stored_epochs": 1, "CREATE VIEW epochs": 1, "GENERATED": 0}),
        ((18, 0), {"CREATE TABLE epochs": 1, "GENERATED ALWAYS AS": 6, "STORED": 0, "CREATE VIEW": 1}),
    ],
)
def test_servers_that_can_compute_epochs_on_reading_do(
    version: tuple[int, int], said: dict[str, int]
) -> None:
    dialect = postgresql.dialect()
    dialect.server_version_info, dialect.supports_virtual_generated_columns = version, version >= (18,)
    written = StringIO()
    options = {"as_sql": True, "output_buffer": written}
    with Operations.context(MigrationContext.configure(dialect=dialect, opts=options)):
        import_module("bloxdb._migrations.versions.0001_first_tables").upgrade()
    assert {words: written.getvalue().count(words) for words in said} == said

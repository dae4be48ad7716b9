"""Very many epochs into PostgreSQL: as bytes, and into an empty table without its keys meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, text
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

KEYS = (
    "SELECT conname, pg_get_constraintdef(oid) AS what FROM pg_constraint WHERE conrelid = 'epochs'::regclass"
)


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
            "CREATE VIEW mine AS SELECT epochs.*, count(*) FROM epochs GROUP BY run_id, epoch",
            "DROP VIEW mine",
        ),
        (
            "CREATE TABLE mine (a INT, b INT, FOREIGN KEY (a, b) REFERENCES epochs (run_id, epoch))",
            "DROP TABLE mine",
        ),
        ("UPDATE runs SET status = 'running' WHERE id = 1", "SELECT 1"),
    ],
    ids=["a view", "a table", "a worker"],
)
def test_keys_stay_where_somebody_needs_them(db: Database, need: str, end: str) -> None:
    with db.transaction() as session:
        session.execute(text(need))
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

"""Epochs as pages of a database that is being made: SQLite must read them, and whatever is wrong is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select
from sqlalchemy.orm import Session

from bloxdb import BloxError, Recipe, Run
from bloxdb.db.connection import file_url, make_engine
from bloxdb.db.creation import open_or_create
from bloxdb.db.database import Database
from bloxdb.db.epochs import EpochWriter
from bloxdb.db.fileformat import LOCK_BYTE
from bloxdb.db.grafting import graft
from bloxdb.db.schema import Epoch
from bloxdb.db.sqlite import SQLite
from bloxdb.db.staging import STORED
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING, Array
from bloxdb.progress import Meter
from tests.db.test_staging import batches_of_runs, expected

Batches = list[tuple[Array, dict[str, Array]]]

OTHER = "CREATE TABLE other (id INTEGER PRIMARY KEY, text TEXT)"


@contextmanager
def transaction(path: Path, page_size: int = 512, *before: str, is_new: bool = True) -> Iterator[Connection]:
    """On a file with the table of epochs and another one, as an import has it."""
    if not is_new:
        path.touch()
    engine = make_engine(file_url(path), read_only=False, is_new=is_new)
    with engine.execution_options(**SQLite.AUTOCOMMIT).connect() as connection:
        for sql in (f"PRAGMA page_size = {page_size}", *before, "PRAGMA foreign_keys = OFF"):
            connection.exec_driver_sql(sql)
        Epoch.__table__.create(connection)  # type: ignore[attr-defined]
        connection.exec_driver_sql(OTHER)
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        yield connection
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def fill(connection: Connection, first: int, count: int) -> None:
    """Rows of another table, which need pages of their own."""
    rows = [(i, "x" * 90) for i in range(first, first + count)]
    connection.exec_driver_sql("INSERT INTO other VALUES (?, ?)", rows)


def rows_of(path: Path, *, checked: bool = True) -> tuple[list[tuple[Any, ...]], int]:
    """The epochs, and how many rows the other table has, after SQLite has checked the file."""
    with closing(sqlite3.connect(path)) as connection:
        if checked:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        count = connection.execute("SELECT count(*) FROM other WHERE length(text) = 90").fetchone()[0]
        return connection.execute(f"SELECT {', '.join(STORED)} FROM epochs").fetchall(), count


def write(path: Path, batches: Batches, page_size: int) -> None:
    """Graft batches, between rows of another table."""
    with transaction(path, page_size) as connection:
        fill(connection, 0, 50)
        grafted = graft(connection)
        assert grafted is not None
        with grafted:
            for number, (ids, measures) in enumerate(batches, 1):
                grafted.add(ids, measures)
                fill(connection, 50 * number, 50)
            grafted.finish()
        fill(connection, 50 * (len(batches) + 1), 50)


@pytest.mark.slow
@given(batches=batches_of_runs(), page_size=st.sampled_from([512, 1024, 4096]))
def test_sqlite_reads_what_was_grafted(batches: Batches, page_size: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        write(path, batches, page_size)
        assert rows_of(path) == (expected(batches), 50 * (len(batches) + 2))


def many() -> Batches:
    """Enough for several levels, in two parts."""
    draw = np.random.default_rng(0)
    ids = np.cumsum(draw.integers(1, 50, 300))
    measures = {name: draw.integers(0, 2**31 - 1, (300, 60), dtype=np.int32) for name in STORED[2:]}
    return [(ids[part], {n: v[part] for n, v in measures.items()}) for part in (slice(120), slice(120, 300))]


@pytest.mark.parametrize("page_size", [512, 4096, 32768])
def test_a_tree_of_many_levels_is_whole(page_size: int, tmp_path: Path) -> None:
    write(tmp_path / "new.db", many(), page_size)
    assert rows_of(tmp_path / "new.db") == (expected(many()), 200)


@pytest.mark.parametrize("batches", [[], [(np.arange(1, 4), {STORED[2]: np.empty((3, 0), dtype=np.int32)})]])
def test_without_rows_the_table_stays_empty(batches: Batches, tmp_path: Path) -> None:
    write(tmp_path / "new.db", batches, 512)
    assert rows_of(tmp_path / "new.db") == ([], 50 * (len(batches) + 2))


@pytest.mark.parametrize("before", range(1, 13))
def test_the_page_of_the_lock_byte_stays_free(before: int, tmp_path: Path) -> None:
    """SQLite never uses it, https://www.sqlite.org/fileformat2.html#the_lock_byte_page; the file is sparse."""
    path, page = tmp_path / "new.db", 512
    lock_page = LOCK_BYTE // page + 1
    ids, values = np.arange(1, 41), np.arange(40 * 30, dtype=np.int32).reshape(40, 30)
    with transaction(path, page) as connection:
        connection.exec_driver_sql("COMMIT")
        with path.open("r+b") as stream:
            stream.truncate((lock_page - before) * page)
            stream.seek(28)
            stream.write((lock_page - before).to_bytes(4, "big"))
            stream.seek(24)
            change = stream.read(4)
            stream.seek(92)
            stream.write(change)
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        grafted = graft(connection)
        assert grafted is not None
        with grafted:
            grafted.add(ids, {STORED[2]: values})
            fill(connection, 0, 50)
            grafted.finish()
    assert rows_of(path, checked=False) == (expected([(ids, {STORED[2]: values})]), 50)
    with path.open("rb") as stream:
        stream.seek(LOCK_BYTE)
        assert stream.read(page) == bytes(page)


@pytest.mark.parametrize(
    ("before", "is_new"),
    [
        (("PRAGMA auto_vacuum = FULL",), True),
        (("PRAGMA auto_vacuum = INCREMENTAL",), True),
        (("PRAGMA page_size = 65536",), True),
        ((), False),
    ],
)
def test_other_files_are_left_to_sqlite(before: tuple[str, ...], is_new: bool, tmp_path: Path) -> None:
    with transaction(tmp_path / "new.db", 4096, *before, is_new=is_new) as connection:
        assert graft(connection) is None
        fill(connection, 0, 10)
    assert rows_of(tmp_path / "new.db") == ([], 10)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO epochs (run_id, epoch) VALUES (1, 1)",
        "ALTER TABLE epochs ADD COLUMN remark TEXT",
        "CREATE INDEX own ON epochs (val_top1)",
        "CREATE VIEW own AS SELECT * FROM epochs",
        "CREATE TRIGGER own AFTER INSERT ON epochs BEGIN SELECT 1; END",
    ],
)
def test_other_tables_are_left_to_sqlite(change: str, tmp_path: Path) -> None:
    with transaction(tmp_path / "new.db") as connection:
        connection.exec_driver_sql(change)
        assert graft(connection) is None


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with transaction(tmp_path / "new.db") as connection:
        (tmp_path / "new.db").rename(tmp_path / "away.db")
        with pytest.raises(DatabaseError, match=r"new\.db: epochs cannot be written there: No such file"):
            graft(connection)
        (tmp_path / "away.db").rename(tmp_path / "new.db")
        connection.exec_driver_sql("BEGIN")


def test_what_the_disk_has_changed_is_told_or_reads_right(tmp_path: Path) -> None:
    """One byte of the pages is another when the table is made to lead to them."""
    batches, draw, told = many(), np.random.default_rng(3), set()
    for number in range(40):
        path = tmp_path / f"{number}.db"
        try:
            with transaction(path, 512) as connection:
                grafted = graft(connection)
                assert grafted is not None
                with grafted:
                    for ids, measures in batches:
                        grafted.add(ids, measures)
                    grafted.wait()
                    with path.open("r+b") as stream:
                        stream.seek(int(draw.integers(20 * 512, path.stat().st_size)))
                        byte = stream.read(1)
                        stream.seek(-1, 1)
                        stream.write(bytes([byte[0] ^ 1 << int(draw.integers(8))]))
                    grafted.finish()
        except DatabaseError as error:
            told.add(str(error).partition(": ")[2].partition(":")[0])
            continue
        finally:
            size = path.stat().st_size
        assert size > 100 * 512
        assert rows_of(path)[0] == expected(batches)
    assert told == {"epochs cannot be written there", "what was written is not what was read from the files"}


LAST, SAMPLED = 1150, 1000


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([(LAST, 60, 0, 1)], "not in order|not 1, 2|run_ids are"),
        ([(LAST, 60, 1, 1)], "not 1, 2"),
        ([(LAST, 60, 2, 1)], "sums are"),
        ([(LAST, 60, 7, 1)], "sums are"),
        ([(SAMPLED, 20, 4, 1), (SAMPLED, 40, 4, -1)], "SQLite reads other epochs of run 1000"),
    ],
    ids=["a run", "an epoch", "the first value", "the last value", "values of the same sum"],
)
def test_a_number_that_is_another_is_told(
    changes: list[tuple[int, int, int, int]], why: str, tmp_path: Path
) -> None:
    """Keys too; all but the last are in no run that is read as a sample."""
    ids = np.arange(1000, 1300)
    values = {name: np.full((300, 60), 70, dtype=np.int32) for name in STORED[2:]}
    path = tmp_path / ".bloxdb-0-0.tmp" / "new.db"
    path.parent.mkdir()

    def change(run_id: int, epoch: int, column: int, add: int) -> None:
        row = bytes([18, 9, 2, 1, *[1] * 6]) + run_id.to_bytes(2, "big") + bytes([epoch, *[70] * 6])
        with path.open("r+b") as stream:
            at = stream.read().index(row) + 10 + (1 if column == 0 else 1 + column)
            stream.seek(at)
            before = stream.read(1)[0]
            stream.seek(at)
            stream.write(bytes([before + add]))

    def fill(connection: Connection) -> None:
        grafted = graft(connection)
        assert grafted is not None
        with grafted:
            grafted.add(ids, values)
            grafted.wait()
            for each in changes:
                change(*each)
            grafted.finish()

    with pytest.raises(DatabaseError, match=why) as told, transaction(path) as connection:
        fill(connection)
    assert str(told.value).startswith(f"{tmp_path / 'new.db'}: ")


@contextmanager
def writing(db: Database, folder: Path) -> Iterator[tuple[Session, EpochWriter]]:
    meter = Meter(None, 1)
    with db.bulk_transaction() as session, EpochWriter(session, folder, meter) as writer:
        yield session, writer


def with_runs(session: Session, count: int) -> Array:
    """Add runs without epochs; their ids."""
    session.add(Recipe(id=1, name="r", dataset="d", epochs=150))
    session.flush()
    rows = [{"arch_id": i, "recipe_id": 1, "seed": 0, "status": "finished"} for i in range(count)]
    session.execute(insert(Run.__table__), rows)  # type: ignore[arg-type]
    return np.array(session.scalars(select(Run.id).order_by(Run.id)).all())


def test_rows_that_come_out_of_order_are_there_too(tmp_path: Path) -> None:
    """A table whose pages are being made must not get rows in another way meanwhile."""
    values = np.random.default_rng(5).integers(0, 90_000, (600, 150), dtype=np.int32)
    with open_or_create(tmp_path / "new.db") as (db, _), writing(db, tmp_path) as (session, writer):
        ids = with_runs(session, 600)
        for rows in (slice(200, 400), slice(0, 200), slice(400, 600)):
            writer.write(ids[rows], {"val_top1": values[rows]})
            assert (session.scalar(select(Epoch.epoch).where(Epoch.run_id == 1)) is None) == (
                rows.start == 200
            )
        writer.flush()
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = connection.execute("SELECT run_id, epoch, val_top1_milli FROM epochs").fetchall()
    assert [row[2] for row in found] == values.ravel().tolist()
    assert [row[:2] for row in found] == [(i, e) for i in ids.tolist() for e in range(1, 151)]


def test_rows_of_an_error_never_get_a_name(tmp_path: Path) -> None:
    """What was grafted is not undone; whoever goes on after an error is refused, and no file appears."""
    values = np.full((400, 150), MISSING)

    def fill_and_fail(db: Database) -> None:
        with writing(db, tmp_path) as (session, writer):
            writer.write(with_runs(session, 400), {"val_top1": values})
            writer.flush()
            raise KeyError("something")

    def go_on() -> None:
        with open_or_create(tmp_path / "new.db") as (db, _):
            with pytest.raises(KeyError):
                fill_and_fail(db)
            with pytest.raises(BloxError, match="something failed as it was filled"), db.transaction():
                pass

    with pytest.raises(DatabaseError, match=r"new\.db cannot be made: something failed"):
        go_on()
    assert list(tmp_path.iterdir()) == []

"""Many epochs at once: the files that ADBC writes beside the database, and reading back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

import bloxdb
from bloxdb import Database, Recipe, Run, codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, EXT, is_list
from bloxdb.codecs.fixed import Array
from bloxdb.release.epochs import MISSING, EpochWriter, read_epochs
from bloxdb.release.meter import Meter

RUNS, EPOCHS = 400, 150  # more rows than go in one by one


def with_runs(db: Database) -> Array:
    """Add runs without epochs; their ids."""
    with db.transaction() as session:
        session.add(Recipe(id=1, name="r", dataset="d", epochs=EPOCHS))
        session.flush()
        rows = [{"arch_id": i, "recipe_id": 1, "seed": 0, "status": "finished"} for i in range(RUNS)]
        session.execute(insert(Run.__table__), rows)
        return np.array(session.scalars(select(Run.id).order_by(Run.id)).all())


def stored(db: Database, ids: Array, names: list[str]) -> dict[str, Array]:
    """What `read_epochs` gives, put together."""
    found = {name: np.full((len(ids), EPOCHS), MISSING) for name in names}
    for block in read_epochs(db.reader, ids, names):
        rows = np.repeat(np.searchsorted(ids, block.run_ids), block.counts)
        for name, values in block.measures.items():
            found[name][rows, block.epochs - 1] = values
    return found


def test_many_epochs_come_back_as_they_were_written(empty_db: Database) -> None:
    draw = np.random.default_rng(0)
    ids = with_runs(empty_db)
    measures = {
        "val_top1": draw.integers(0, 100_000, (RUNS, EPOCHS)).astype(np.int32),
        "val_loss": draw.integers(-(2**40), 2**40, (RUNS, EPOCHS)),
    }
    measures["val_loss"][draw.random((RUNS, EPOCHS)) < 0.2] = MISSING
    with empty_db.bulk_transaction() as session:
        EpochWriter(session, 1, Meter(None, 0)).write(ids, measures)
    found = stored(empty_db, ids, ["val_top1", "val_loss", "train_loss"])
    assert np.array_equal(found["val_top1"], measures["val_top1"])
    assert np.array_equal(found["val_loss"], measures["val_loss"])
    assert np.all(found["train_loss"] == MISSING)
    some = np.sort(draw.choice(ids, 37, replace=False))
    few = stored(empty_db, some, ["val_loss"])
    assert np.array_equal(few["val_loss"], measures["val_loss"][np.searchsorted(ids, some)])
    assert empty_db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert empty_db.rows("PRAGMA foreign_key_check") == []
    assert empty_db.rows("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def test_more_batches_than_files_can_be_attached_are_written(empty_db: Database) -> None:
    ids = with_runs(empty_db)
    with empty_db.transaction() as session:
        rows = [
            {"arch_id": i, "recipe_id": 1, "seed": seed, "status": "finished"}
            for seed in range(1, 12)
            for i in range(RUNS)
        ]
        session.execute(insert(Run.__table__), rows)
    measures = {"val_top1": np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000}
    with empty_db.bulk_transaction() as session:
        writer = EpochWriter(session, 12, Meter(None, 0))
        for seed in range(12):
            writer.write(ids + RUNS * seed, measures)
    assert empty_db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 12 * RUNS * EPOCHS}]
    last = stored(empty_db, ids + RUNS * 11, ["val_top1"])
    assert np.array_equal(last["val_top1"], measures["val_top1"])


def release(folder: Path, draw: np.random.Generator) -> None:
    """A release of random values, large enough for the quick ways."""
    folder.mkdir()
    ids = np.sort(draw.choice(91_125, RUNS, replace=False))
    hashes = bloxdb.space.all_digests()[ids]
    for part, columns in (("base", BASE), ("ext", EXT)):
        header = Header("training", columns, seed=0, epochs=EPOCHS, dataset="synthetic", part=part)
        values: dict[str, Array] = {"model_hash": hashes}
        for name in columns[1:]:
            shape = (RUNS, EPOCHS) if is_list(name) else (RUNS,)
            values[name] = draw.integers(1, 90_000, shape).astype(np.int32)
        if part == "base":
            values["train_time_s"] = values["train_time_s"].astype(np.int64)
        codecs.write(Table(header, values), folder / f"{header.stem}.pickle")


def test_a_large_release_comes_back_equal(empty_db: Database, tmp_path: Path) -> None:
    release(tmp_path / "in", np.random.default_rng(1))
    bloxdb.import_release(tmp_path / "in", empty_db)
    bloxdb.export_release(tmp_path / "out", empty_db, format="csv")
    for part in ("base", "ext"):
        before = codecs.read(tmp_path / "in" / f"blox-{part}-0.pickle")
        assert codecs.read(tmp_path / "out" / f"blox-{part}-0.csv").difference(before) is None
    report = bloxdb.import_release(tmp_path / "in", empty_db)
    assert (report.added, report.replaced, report.unchanged) == (0, 0, 2 * RUNS // 2)


def test_an_import_that_is_interrupted_leaves_no_trace(empty_db: Database, tmp_path: Path) -> None:
    release(tmp_path / "in", np.random.default_rng(2))
    assert empty_db.path is not None
    before = sorted(path.name for path in empty_db.path.parent.iterdir())

    def interrupt(done: int, total: int, what: str) -> None:
        if "rows/s" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bloxdb.import_release(tmp_path / "in", empty_db, progress=interrupt)
    assert empty_db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 0}]
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
    assert {path.name for path in empty_db.path.parent.iterdir()} - set(before) <= {
        f"{empty_db.path.name}-wal",
        f"{empty_db.path.name}-shm",
        "in",
    }


def test_another_reader_does_not_stop_an_import(empty_db: Database, tmp_path: Path) -> None:
    release(tmp_path / "in", np.random.default_rng(3))
    with bloxdb.open(empty_db.path, read_only=True) as other:
        assert other.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
        bloxdb.import_release(tmp_path / "in", empty_db)
        assert other.rows("SELECT count(*) AS n FROM runs") == [{"n": RUNS}]

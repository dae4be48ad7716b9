"""Many epochs at once: the files that are made beside the database, and reading back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, insert, select, text

import bloxdb
from bloxdb import Database, Recipe, Run, codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, EXT, is_list
from bloxdb.db.epochs import EpochBlock, EpochWriter, read_epochs, whole_runs
from bloxdb.measures import MISSING, Array
from bloxdb.progress import Meter, Progress

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
    for block in read_epochs([db.reader], ids, names):
        assert set(block.run_ids.tolist()) <= set(ids.tolist())
        rows = np.repeat(np.searchsorted(ids, block.run_ids), block.counts)
        for name, values in block.measures.items():
            found[name][rows, block.epochs - 1] = values
    return found


def write_all(
    db: Database,
    folder: Path,
    batches: list[tuple[Array, dict[str, Array]]],
    progress: Progress | None = None,
) -> None:
    """Write batches in one transaction."""
    meter = Meter(progress, RUNS * EPOCHS)
    meter.begin("epochs", RUNS * EPOCHS)
    with db.bulk_transaction() as session, EpochWriter(session, folder, meter) as writer:
        for ids, measures in batches:
            writer.write(ids, measures)
        writer.flush()


def test_many_epochs_come_back_as_they_were_written(empty_db: Database, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    ids = with_runs(empty_db)
    measures = {
        "val_top1": draw.integers(0, 100_000, (RUNS, EPOCHS)).astype(np.int32),
        "val_loss": draw.integers(-(2**40), 2**40, (RUNS, EPOCHS)),
    }
    measures["val_loss"][draw.random((RUNS, EPOCHS)) < 0.2] = MISSING
    before = table_sql(empty_db)
    write_all(empty_db, tmp_path, [(ids, measures)])
    assert table_sql(empty_db) == before
    found = stored(empty_db, ids, ["val_top1", "val_loss", "train_loss"])
    assert np.array_equal(found["val_top1"], measures["val_top1"])
    assert np.array_equal(found["val_loss"], measures["val_loss"])
    assert np.all(found["train_loss"] == MISSING)
    some = np.sort(draw.choice(ids, 37, replace=False))
    few = stored(empty_db, some, ["val_loss"])
    assert np.array_equal(few["val_loss"], measures["val_loss"][np.searchsorted(ids, some)])
    assert empty_db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert empty_db.rows("PRAGMA foreign_key_check") == []
    empty_db.disconnect()
    assert empty_db.rows("PRAGMA journal_mode") == [{"journal_mode": "delete"}]


def test_epochs_join_those_that_are_there(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    measures = {"val_top1": np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000}
    order = [ids[200:], ids[:200]]
    for number, part in enumerate(order):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_all(empty_db, folder, [(part, {"val_top1": measures["val_top1"][part - 1]})])
    found = stored(empty_db, ids, ["val_top1"])
    assert np.array_equal(found["val_top1"], measures["val_top1"])


@pytest.mark.slow
def test_more_batches_than_files_can_be_attached_are_written(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    values = np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000
    with (
        empty_db.bulk_transaction() as session,
        EpochWriter(session, tmp_path, Meter(None, 0)) as writer,
    ):
        for part in np.split(ids, 20)[::-1]:  # each below the one before, so no file can go on
            writer.write(part, {"val_top1": np.repeat(values[part - 1], 8, axis=1)})
            writer.flush()
    assert empty_db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 8 * RUNS * EPOCHS}]
    check = "SELECT count(*) AS n FROM epochs WHERE val_top1_milli <> ((run_id - 1) * 150 + (epoch - 1) / 8) % 100000"
    assert empty_db.rows(check) == [{"n": 0}]


def test_a_table_that_somebody_changed_is_loaded_too(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    with empty_db.transaction() as session:
        session.execute(text("CREATE INDEX mine ON epochs (val_top1_milli)"))
        session.execute(text("ALTER TABLE epochs ADD COLUMN note TEXT"))
    measures = {"val_top1": np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000}
    write_all(empty_db, tmp_path, [(ids, measures)])
    assert np.array_equal(stored(empty_db, ids, ["val_top1"])["val_top1"], measures["val_top1"])
    assert empty_db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


SOMEBODYS = {
    "a view of a table that is gone": ["CREATE TABLE gone (a)", "CREATE VIEW stale AS SELECT a FROM gone", "DROP TABLE gone"],
    "a view of a column that is gone": ["CREATE VIEW stale AS SELECT remark FROM runs"],
    "a trigger of a table that is gone": ["CREATE TRIGGER stale AFTER INSERT ON devices BEGIN INSERT INTO gone VALUES (1); END"],
    "a trigger that works": ["CREATE TABLE seen (a)", "CREATE TRIGGER mine AFTER INSERT ON epochs BEGIN INSERT INTO seen VALUES (new.run_id); END"],
    "a view that works": ["CREATE VIEW mine AS SELECT val_top1 FROM epochs"],
}  # fmt: skip


@pytest.mark.parametrize("what", SOMEBODYS)
def test_views_and_triggers_of_somebody_stop_no_import(empty_db: Database, tmp_path: Path, what: str) -> None:
    ids = with_runs(empty_db)
    with empty_db.transaction() as session:
        for words in SOMEBODYS[what]:
            session.execute(text(words))
    before = table_sql(empty_db)
    measures = {"val_top1": np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000}
    write_all(empty_db, tmp_path, [(ids, measures)])
    assert np.array_equal(stored(empty_db, ids, ["val_top1"])["val_top1"], measures["val_top1"])
    assert table_sql(empty_db) == before
    if "trigger that works" in what:
        assert empty_db.rows("SELECT count(*) AS n FROM seen") == [{"n": RUNS * EPOCHS}]


def by_run(block: EpochBlock) -> dict[int, Array]:
    """The accuracies of each run of a block, in the order of epochs."""
    ends = np.cumsum(block.counts)
    parts = zip(block.run_ids.tolist(), np.split(block.measures["val_top1"], ends[:-1]), strict=True)
    epochs = np.split(block.epochs, ends[:-1])
    return {run: values[np.argsort(order)] for (run, values), order in zip(parts, epochs, strict=True)}


def table_sql(db: Database) -> str:
    """How the table of epochs is defined, but for white space."""
    (row,) = db.rows("SELECT sql FROM sqlite_master WHERE name = 'epochs'")
    return "".join(row["sql"].split())


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


@pytest.mark.slow
def test_ctrl_c_at_any_moment_leaves_all_or_nothing(empty_db: Database, tmp_path: Path) -> None:
    """It raises anywhere: in our code, in SQLAlchemy's, or while SQLite runs a statement."""
    path = empty_db.path
    assert path is not None
    empty_db.close()
    script = Path(__file__).parents[2] / "benchmarks" / "make_release.py"
    size = ("--archs", "6000", "--epochs", "150", "--no-truth")
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "in"), *size], check=True, capture_output=True
    )
    before = sorted(found.name for found in tmp_path.iterdir())
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from bloxdb.cli import main; main()"
    command = [sys.executable, "-c", code, "import", str(tmp_path / "in"), "--db", str(path)]
    interrupted = 0
    for delay in (0.5, 0.8, 1.1, 1.4, 1.7):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
        with bloxdb.open(path) as db:
            assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
            (row,) = db.rows(
                "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM epochs) AS epochs"
            )
        assert "sqlalche.me" not in output, output
        assert "rollback" not in output, output
        assert sorted(found.name for found in tmp_path.iterdir()) == before
        if process.returncode == 0 or row["runs"]:  # it may come after the commit
            assert row == {"runs": 6000, "epochs": 900_000}
            break
        assert row == {"runs": 0, "epochs": 0}
        interrupted += 1
    assert interrupted


def test_another_reader_does_not_stop_an_import(empty_db: Database, tmp_path: Path) -> None:
    release(tmp_path / "in", np.random.default_rng(3))
    with bloxdb.open(empty_db.path, read_only=True) as other:
        assert other.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
        bloxdb.import_release(tmp_path / "in", empty_db)
        assert other.rows("SELECT count(*) AS n FROM runs") == [{"n": RUNS}]


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """The statements that SQLAlchemy gives to SQLite meanwhile."""
    said: list[str] = []

    def note(connection: object, cursor: object, statement: str, *others: object) -> None:
        said.append(" ".join(statement.split()))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


WHOLE = "INSERT INTO main.epochs SELECT * FROM stage_1.epochs"


def test_a_full_import_into_an_empty_table_is_one_copy(empty_db: Database, tmp_path: Path) -> None:
    release(tmp_path / "in", np.random.default_rng(4))
    with statements(empty_db) as said:
        bloxdb.import_release(tmp_path / "in", empty_db)
    assert [
        words for words in said if words.startswith(("INSERT INTO main.epochs", "INSERT INTO epochs"))
    ] == [WHOLE]


@pytest.mark.slow
def test_epochs_that_join_others_are_copied_some_runs_at_a_time(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    values = np.zeros((RUNS, EPOCHS), dtype=np.int32)
    for number, part in enumerate((ids[:200], ids[200:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        with statements(empty_db) as said:
            write_all(empty_db, folder, [(part, {"val_top1": values[:200]})])
        copied = [words for words in said if words.startswith("INSERT INTO main.epochs")]
        assert len(copied) == 1
        assert (copied[0] == WHOLE) == (number == 0)
        assert ("WHERE run_id BETWEEN" in copied[0]) == (number == 1)


def test_few_epochs_need_no_file(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)[:3]
    with statements(empty_db) as said:
        write_all(empty_db, tmp_path, [(ids, {"val_top1": np.full((3, EPOCHS), 7, dtype=np.int32)})])
    assert not [words for words in said if words.startswith("ATTACH")]
    assert list(tmp_path.glob("epochs-*")) == []
    assert empty_db.rows("SELECT count(*) AS n FROM epochs WHERE val_top1 = 0.007") == [{"n": 3 * EPOCHS}]


def test_runs_in_any_order_are_written(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    mixed = np.random.default_rng(5).permutation(ids)
    values = np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000
    write_all(empty_db, tmp_path, [(mixed, {"val_top1": values[mixed - 1]})])
    assert np.array_equal(stored(empty_db, ids, ["val_top1"])["val_top1"], values)


def test_runs_whose_ids_do_not_go_on_are_put_in_one_by_one(empty_db: Database, tmp_path: Path) -> None:
    """A file holds runs whose ids rise; those at its last id or below, as a few at a time, go in without it."""
    ids = with_runs(empty_db)
    values = np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000
    first, low, last = ids[100:], ids[:100], ids[-1:]
    with statements(empty_db) as said:
        batches = [(first, {"val_top1": values[100:]}), (low, {"val_top1": values[:100]})]
        write_all(empty_db, tmp_path, batches)
    assert len([words for words in said if words.startswith("ATTACH")]) == 1
    assert np.array_equal(stored(empty_db, ids, ["val_top1"])["val_top1"], values)
    with pytest.raises(bloxdb.DatabaseError, match="UNIQUE"):
        write_all(empty_db, tmp_path, [(last, {"val_top1": values[-1:]})])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("runs", [3, 300])
def test_what_was_not_measured_is_null(runs: int, dtype: type, empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)[:runs]
    values = np.arange(runs * EPOCHS, dtype=dtype).reshape(runs, EPOCHS) % 100_000
    if dtype is np.int64:
        values[::2, ::3] = MISSING
    write_all(empty_db, tmp_path, [(ids, {"val_top1": values})])
    assert np.array_equal(stored(empty_db, ids, ["val_top1"])["val_top1"], values)
    missing = empty_db.rows("SELECT count(*) AS n FROM epochs WHERE val_top1 IS NULL")[0]["n"]
    assert missing == int((values == MISSING).sum())


MANY = 2_600  # epochs of each run, so that SQLite copies more rows than it does between two looks


def test_progress_goes_up_to_all_rows(empty_db: Database, tmp_path: Path) -> None:
    ids = with_runs(empty_db)
    told: list[int] = []
    values = np.zeros((RUNS, MANY), dtype=np.int32)
    write_all(empty_db, tmp_path, [(ids, {"val_top1": values})], lambda done, total, what: told.append(done))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, RUNS * EPOCHS)
    assert len(set(told)) > 2, "between both ends, too"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_progress_raises_ends_the_copy_and_comes_out(
    empty_db: Database, tmp_path: Path, error: type[BaseException]
) -> None:
    ids = with_runs(empty_db)
    moments: list[int] = []

    def stop(done: int, total: int, what: str) -> None:
        moments.append(done)
        if 0 < done < total:
            raise error("stop")

    values = np.zeros((RUNS, MANY), dtype=np.int32)
    with pytest.raises(error, match="stop"):
        write_all(empty_db, tmp_path, [(ids, {"val_top1": values})], stop)
    assert moments[-1] < RUNS * EPOCHS, "while SQLite copied"
    assert empty_db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 0}]


@pytest.mark.parametrize("sessions", [1, 4])
def test_runs_with_others_between_are_read_alone(empty_db: Database, tmp_path: Path, sessions: int) -> None:
    ids = with_runs(empty_db)
    values = np.arange(RUNS * EPOCHS, dtype=np.int32).reshape(RUNS, EPOCHS) % 100_000
    write_all(empty_db, tmp_path, [(ids, {"val_top1": values})])
    some = ids[::2]
    with empty_db.snapshots(sessions) as readers:
        blocks = list(read_epochs(readers, some, ["val_top1"]))
    assert sorted(run for block in blocks for run in block.run_ids.tolist()) == some.tolist()
    found = {run: values for block in blocks for run, values in by_run(block).items()}
    assert all(np.array_equal(found[run], values[run - 1]) for run in some.tolist())


def block_of(runs: dict[int, list[int]]) -> EpochBlock:
    """Runs with these epochs, in this order, whose values are a thousand times the run, and the epoch."""
    epochs = np.array([epoch for of_run in runs.values() for epoch in of_run], dtype=np.int64)
    counts = np.array([len(of_run) for of_run in runs.values()], dtype=np.int64)
    ids = np.array(list(runs), dtype=np.int64)
    return EpochBlock(ids, counts, epochs, {"val_top1": 1000 * np.repeat(ids, counts) + epochs})


@pytest.mark.parametrize(
    "runs",
    [
        {3: [1, 2, 3], 9: [1, 2, 3]},
        {3: [1, 2, 3], 9: [3, 1, 2]},
        {3: [2, 1], 4: [1], 9: [1, 2], 12: [3, 2, 1]},
        {7: [1]},
        {},
    ],
    ids=["in order", "one in another order", "several lengths", "one epoch", "none"],
)
def test_whole_runs_come_with_their_epochs_in_order(runs: dict[int, list[int]]) -> None:
    found = {}
    for ids, measures in whole_runs(block_of(runs), "a gap"):
        found |= dict(zip(ids.tolist(), measures["val_top1"].tolist(), strict=True))
    assert found == {run: [1000 * run + epoch for epoch in sorted(of_run)] for run, of_run in runs.items()}


@pytest.mark.parametrize("epochs", [[2, 3], [1, 3], [1, 1], [0, 1], [1, 2, 2], [2]])
@pytest.mark.parametrize("others", [{}, {9: [1, 2]}, {9: [1]}], ids=["alone", "of one length", "of another"])
def test_a_run_that_lacks_an_epoch_or_has_one_twice_is_told(
    epochs: list[int], others: dict[int, list[int]]
) -> None:
    with pytest.raises(bloxdb.ReleaseError, match=r"^here: a gap$"):
        list(whole_runs(block_of({4: epochs, **others}), "here: a gap"))

"""Runs, epochs and the leaderboard as data frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sqlalchemy import event, text

import bloxdb
from bloxdb import Database, frames, space
from bloxdb.measures import EPOCH
from tests.helpers import SEEDS

OF_RUNS = ("runs", "epochs", "leaderboard")
"""Frames of runs; `test_lookups.py` has the others."""


def test_a_frame_has_the_rows_of_the_database(tiny_db: Database) -> None:
    found = bloxdb.to_arrow("leaderboard", tiny_db).to_pylist()
    assert found == tiny_db.rows("SELECT * FROM leaderboard ORDER BY arch_id, seed")
    runs = bloxdb.to_arrow("runs", tiny_db)
    assert runs.column_names == list(frames.RUN_COLUMNS)
    expected = tiny_db.rows("SELECT arch_id, seed, status, test_loss, flops FROM runs ORDER BY arch_id")
    assert runs.select(["arch_id", "seed", "status", "test_loss", "flops"]).to_pylist() == expected
    epochs = bloxdb.to_arrow("epochs", tiny_db).sort_by([("arch_id", "ascending"), ("epoch", "ascending")])
    measures = ", ".join(f"epochs.{name}" for name in frames.EPOCH_MEASURES)
    query = (
        f"SELECT arch_id, name AS recipe, seed, epoch, {measures} FROM epochs JOIN runs ON runs.id = run_id "
    )
    query += "JOIN recipes ON recipes.id = recipe_id ORDER BY arch_id, epoch"
    assert epochs.to_pylist() == tiny_db.rows(query)


@pytest.mark.parametrize("what", OF_RUNS)
def test_pandas_and_polars_have_the_same_values(tiny_db: Database, what: str) -> None:
    arrow = bloxdb.to_arrow(what, tiny_db)
    pandas, polars = bloxdb.to_pandas(what, tiny_db), bloxdb.to_polars(what, tiny_db)
    assert list(pandas.columns) == polars.columns == arrow.column_names
    assert pandas["arch_id"].tolist() == polars["arch_id"].to_list() == arrow["arch_id"].to_pylist()
    assert pandas["val_top1"].tolist() == polars["val_top1"].to_list() == arrow["val_top1"].to_pylist()
    assert set(pandas["recipe"]) == set(polars["recipe"].to_list()) == {"cifar100-10"}


def test_fields_have_types_and_units(tiny_db: Database) -> None:
    schema = bloxdb.to_arrow("epochs", tiny_db).schema
    assert schema.field("val_top1").metadata == {b"unit": b"percent"}
    assert schema.field("val_loss").metadata == {b"unit": b"nats"}
    assert schema.field("val_top1").type == pa.float64()
    assert schema.field("epoch").type == pa.int32()


def test_recipes_and_seeds_can_be_chosen_and_nothing_is_an_empty_frame(
    tiny_db: Database, empty_db: Database
) -> None:
    for what in OF_RUNS:
        whole = bloxdb.to_arrow(what, tiny_db)
        assert bloxdb.to_arrow(what, tiny_db, recipe="cifar100-10", seeds=[3]).equals(whole)
        assert bloxdb.to_arrow(what, tiny_db, seeds=3).equals(whole)
        none = bloxdb.to_arrow(what, empty_db)
        assert (len(none), none.schema) == (0, whole.schema)
        with pytest.raises(bloxdb.QueryError, match="no run with seed 4; choose of: 3"):
            bloxdb.to_arrow(what, tiny_db, seeds=[4])
    with pytest.raises(bloxdb.QueryError, match="choose one of: runs, epochs, leaderboard"):
        bloxdb.to_arrow("archives", tiny_db)
    with pytest.raises(bloxdb.QueryError, match="choose one of: cifar100-10"):
        bloxdb.to_arrow("runs", tiny_db, recipe="x")


def test_values_that_were_not_measured_are_null(golden: Path, empty_db: Database) -> None:
    bloxdb.import_release(golden / "release-tiny" / "blox-base-3.blox", empty_db)
    epochs = bloxdb.to_arrow("epochs", empty_db)
    assert epochs["val_loss"].null_count == len(epochs) == 400
    assert epochs["val_top1"].null_count == 0


@pytest.fixture(scope="module")
def small_db(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Iterator[Database]:
    """Two seeds of 60 architectures, 200 epochs each, and a recipe of 10 epochs."""
    with bloxdb.create(tmp_path_factory.mktemp("frames") / "small.db") as db:
        bloxdb.import_release(golden / "release-small", db)
        bloxdb.import_release(golden / "release-tiny" / "blox-base-3.blox", db)
        yield db


def every(what: str, seeds: Any) -> dict[str, Any]:
    """Arguments that are right for a table: averages are of one recipe."""
    return {"what": what, "seeds": seeds, **({"recipe": "cifar100-200"} if isinstance(seeds, str) else {})}


TABLES = [every(what, seeds) for what in OF_RUNS for seeds in (None, 0, "mean", "median")]
TABLES = [table for table in TABLES if table["what"] != "runs" or not isinstance(table["seeds"], str)]
SEVERAL = {
    "a list": list,
    "an array": np.array,
    "an iterator": iter,
    "a tuple of NumPy integers": lambda several: tuple(map(np.int16, several)),
}


def plain(table: pa.Table) -> pa.Table:
    """A table whose recipes are texts: two dictionaries of the same texts may differ."""
    if "recipe" in table.column_names:
        at = table.column_names.index("recipe")
        table = table.set_column(at, "recipe", table["recipe"].cast(pa.string()))
    return table.combine_chunks()


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_columns_and_architectures_are_those_of_the_whole_table(
    table: dict[str, Any], small_db: Database
) -> None:
    whole = bloxdb.to_arrow(db=small_db, **table)
    known = sorted(set(whole["arch_id"].to_pylist()))
    archs = [known[-1], known[3], space.model_hash(known[7]), space.arch_vec(known[20]), known[3]]
    ids = pa.array([known[3], known[7], known[20], known[-1]], type=pa.int32())
    some = whole.filter(pc.is_in(whole["arch_id"], ids))
    assert 0 < len(some) < len(whole)
    for columns in (whole.column_names[::-1], *([name] for name in whole.column_names)):
        found = bloxdb.to_arrow(db=small_db, columns=iter(columns), archs=archs, **table)
        assert found.column_names == columns
        assert plain(found).equals(plain(some.select(columns)))
    everything = bloxdb.to_arrow(db=small_db, archs=np.arange(space.NUM_ARCHS), **table)
    assert plain(everything).equals(plain(whole))
    columns = ["arch_id", "recipe"]
    for frame in (bloxdb.to_pandas, bloxdb.to_polars):
        found = frame(db=small_db, columns=columns, archs=archs, **table)
        assert list(found.columns) == columns
        assert found["arch_id"].to_list() == some["arch_id"].to_pylist()


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("seeds", [None, "mean"])
def test_epochs_are_those_of_the_whole_table(seeds: Any, kind: str, small_db: Database) -> None:
    table = every("epochs", seeds)
    whole = bloxdb.to_arrow(db=small_db, **table)
    for epochs in ([200, 3, 3], [7, 8, 9], [1], [150]):
        some = whole.filter(pc.is_in(whole["epoch"], pa.array(sorted(set(epochs)), type=pa.int32())))
        found = bloxdb.to_arrow(db=small_db, epochs=SEVERAL[kind](epochs), **table)
        assert plain(found).equals(plain(some))
    assert bloxdb.to_arrow(db=small_db, epochs=np.int8(7), **table)["epoch"].unique().to_pylist() == [7]
    assert len(bloxdb.to_arrow(db=small_db, epochs=[], **table)) == 0


@contextmanager
def asked(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent, with their values."""
    seen: list[tuple[str, Any]] = []

    def see(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", see)


def plan(db: Database, statement: str, values: Any) -> list[str]:
    rows = db.reader.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    return [row.detail for row in rows]


def test_only_what_is_asked_for_is_read(small_db: Database) -> None:
    recipe = "cifar100-200"
    known = bloxdb.to_arrow("runs", small_db, recipe=recipe, columns="arch_id")["arch_id"]
    archs = known.unique().to_pylist()[:3]
    with asked(small_db) as seen:
        found = bloxdb.to_arrow(
            "epochs", small_db, recipe=recipe, columns=["arch_id", "val_loss"], epochs=[5, 90], archs=archs
        )
    assert len(found) == 12
    ((statement, values),) = [one for one in seen if "FROM epochs" in one[0]]
    assert statement.count("group_concat(") == 1
    assert "val_loss_micro" in statement
    runs = [
        row["id"]
        for row in small_db.rows(
            "SELECT id FROM runs WHERE arch_id <= :last AND recipe_id = 1", last=archs[-1]
        )
    ]
    assert sorted(value for value in values if value != "") == sorted([*runs, 5, 90])
    assert plan(small_db, statement, values) == ["SEARCH epochs USING PRIMARY KEY (run_id=? AND epoch=?)"]
    for what, absent in (("runs", "test_loss"), ("leaderboard", "flops")):
        with asked(small_db) as seen:
            bloxdb.to_arrow(what, small_db, columns=["arch_id", "test_top1"], archs=archs)
        ((statement, values),) = [one for one in seen if f"FROM {what}" in one[0]]
        assert absent not in statement
        assert set(archs) <= set(values)


def test_one_epoch_of_neighbouring_runs_is_looked_up(small_db: Database) -> None:
    for epochs in ([4], [4, 5, 6]):
        with asked(small_db) as seen:
            bloxdb.to_arrow("epochs", small_db, columns=["val_top1"], epochs=epochs)
        for statement, values in seen:
            if "FROM epochs" in statement:
                assert plan(small_db, statement, values) == [
                    "SEARCH epochs USING PRIMARY KEY (run_id=? AND epoch>? AND epoch<?)"
                ]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_what_is_not_there_is_named_with_the_choices(table: dict[str, Any], small_db: Database) -> None:
    choices = ", ".join(bloxdb.to_arrow(db=small_db, **table).column_names)
    for frame in (bloxdb.to_arrow, bloxdb.to_pandas, bloxdb.to_polars):
        with pytest.raises(bloxdb.QueryError, match=f"there is no column 'x'; choose of: {choices}$"):
            frame(db=small_db, columns=["arch_id", "x"], **table)
        with pytest.raises(bloxdb.QueryError, match=f"one column at the least; choose of: {choices}$"):
            frame(db=small_db, columns=[], **table)
        with pytest.raises(bloxdb.InvalidArchError, match="91125"):
            frame(db=small_db, archs=[1, 91_125], **table)
        if table["what"] == "epochs":
            for wrong in (0, 201, [1, 2.5], "3", True):
                with pytest.raises(bloxdb.QueryError, match="an epoch is"):
                    frame(db=small_db, epochs=wrong, **table)
        else:
            with pytest.raises(bloxdb.QueryError, match="is a run, not an epoch; epochs=… is for 'epochs'"):
                frame(db=small_db, epochs=1, **table)


def test_a_missing_library_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['polars'] = None\nimport bloxdb\n"
        "try:\n    bloxdb.to_polars('runs')\nexcept bloxdb.MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "this needs polars: pip install 'bloxdb[frames]'"


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("what", OF_RUNS)
def test_seeds_can_be_written_in_many_ways(
    tiny_db: Database, what: str, spelling: Callable[[int], Any]
) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET seed = 4 WHERE id <= 10"))
    found = bloxdb.to_arrow(what, tiny_db, seeds=spelling(4))
    assert set(found["seed"].to_pylist()) == {4}
    assert len(found) == (100 if what == "epochs" else 10)
    for frame in (bloxdb.to_pandas, bloxdb.to_polars):
        assert len(frame(what, tiny_db, seeds=spelling(4))) == len(found)


@pytest.mark.parametrize("how", ["mean", "median"])
def test_averages_are_frames_too(empty_db: Database, golden: Path, how: str) -> None:
    bloxdb.import_release(golden / "release-small", empty_db)
    with empty_db.transaction() as session:
        session.execute(text("UPDATE epochs SET val_loss_micro = NULL WHERE epoch = 7 AND run_id <= 60"))
        session.execute(text("DELETE FROM epochs WHERE run_id = 61"))
        session.execute(text("DELETE FROM runs WHERE id = 61"))
    rows = bloxdb.to_arrow("leaderboard", empty_db, seeds=how).to_pylist()
    ranked = sorted(rows, key=lambda row: (-row["test_top1"], row["arch_id"]))
    assert ranked == bloxdb.top(1000, seeds=how)
    plain = bloxdb.to_pandas("epochs", empty_db).groupby(["arch_id", "epoch"])
    expected = plain[list(EPOCH)].agg(how).reset_index()
    found = bloxdb.to_pandas("epochs", empty_db, seeds=how)
    assert list(found["seeds"]) == list(plain.size())
    for name in ("arch_id", "epoch"):
        assert list(found[name]) == list(expected[name])
    for name in EPOCH:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-13)
    with pytest.raises(bloxdb.QueryError, match="a run has one seed; averages are of 'leaderboard'"):
        bloxdb.to_polars("runs", empty_db, seeds=how)


@pytest.mark.parametrize("seeds", [None, 0, "mean"])
def test_an_epoch_that_tells_the_end_is_left_out(empty_db: Database, golden: Path, seeds: Any) -> None:
    bloxdb.import_release(golden / "release-small", empty_db)
    before = bloxdb.to_pandas("epochs", empty_db, seeds=seeds)
    with empty_db.transaction() as session:
        session.execute(text("UPDATE recipes SET first_epoch_is_best = 1"))
    for columns in (None, ["val_top1"], ["train_loss", "val_loss"]):
        told = bloxdb.to_pandas("epochs", empty_db, seeds=seeds, columns=columns)
        whole = bloxdb.to_pandas("epochs", empty_db, seeds=seeds, columns=columns, first_epoch=True)
        assert whole.equals(before[whole.columns])
        first = (before["epoch"] == 1).to_numpy()
        for name in told.columns:
            assert told[name][~first].equals(before[name][~first])
            assert told[name][first].isna().all() == name.startswith("val_")


def test_all_recipes_can_be_asked_for_by_a_star(tiny_db: Database, golden: Path) -> None:
    bloxdb.import_release(sorted((golden / "release-small").glob("blox-base-*.blox")), tiny_db)
    for what in ("runs", "epochs", "leaderboard"):
        assert bloxdb.to_pandas(what, tiny_db, recipe="*").equals(bloxdb.to_pandas(what, tiny_db))
    for what in ("epochs", "leaderboard"):
        found = bloxdb.to_pandas(what, tiny_db, recipe="*", seeds="mean")
        parts = [
            bloxdb.to_pandas(what, tiny_db, recipe=name, seeds="mean")
            for name in ("cifar100-10", "cifar100-200")
        ]
        assert len(found) == sum(map(len, parts))
        for part, name in zip(parts, ("cifar100-10", "cifar100-200"), strict=True):
            mine = found[found["recipe"] == name].reset_index(drop=True)
            assert mine.drop(columns="recipe").equals(part.drop(columns="recipe"))
        with pytest.raises(bloxdb.QueryError, match="several recipes"):
            bloxdb.to_pandas(what, tiny_db, seeds="mean")

"""Runs, epochs and the leaderboard as data frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, frames
from bloxdb.measures import EPOCH
from tests.helpers import SEEDS


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


@pytest.mark.parametrize("what", frames.FRAMES)
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
    for what in frames.FRAMES:
        whole = bloxdb.to_arrow(what, tiny_db)
        assert bloxdb.to_arrow(what, tiny_db, recipe="cifar100-10", seeds=[3]).equals(whole)
        assert bloxdb.to_arrow(what, tiny_db, seeds=3).equals(whole)
        none = bloxdb.to_arrow(what, empty_db)
        assert (len(none), none.schema) == (0, whole.schema)
        with pytest.raises(bloxdb.QueryError, match="no run with seed 4; choose of: 3"):
            bloxdb.to_arrow(what, tiny_db, seeds=[4])
    with pytest.raises(bloxdb.QueryError, match="choose one of: runs, epochs, leaderboard"):
        bloxdb.to_arrow("archs", tiny_db)
    with pytest.raises(bloxdb.QueryError, match="choose one of: cifar100-10"):
        bloxdb.to_arrow("runs", tiny_db, recipe="x")


def test_values_that_were_not_measured_are_null(golden: Path, empty_db: Database) -> None:
    bloxdb.import_release(golden / "release-tiny" / "blox-base-3.blox", empty_db)
    epochs = bloxdb.to_arrow("epochs", empty_db)
    assert epochs["val_loss"].null_count == len(epochs) == 400
    assert epochs["val_top1"].null_count == 0


def test_a_missing_library_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['polars'] = None\nimport bloxdb\n"
        "try:\n    bloxdb.to_polars('runs')\nexcept bloxdb.MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "this needs polars: pip install 'bloxdb[frames]'"


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("what", frames.FRAMES)
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

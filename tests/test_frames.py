"""Data frames, and Parquet files there and back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, frames

EVERYTHING = {
    "recipes": "SELECT * FROM recipes ORDER BY name",
    "envs": "SELECT * FROM envs ORDER BY gpu, driver, codebase_commit, platform, python",
    "runs": "SELECT runs.*, NULL AS id, NULL AS env_id, NULL AS recipe_id FROM runs ORDER BY arch_id, seed",
    "epochs": "SELECT arch_id, seed, epochs.*, NULL AS run_id FROM epochs JOIN runs ON id = run_id ORDER BY arch_id, seed, epoch",
    "latencies": "SELECT arch_id, name, latency_ms, spread_ms FROM latencies JOIN devices ON id = device_id ORDER BY arch_id, name",
}


def everything(db: Database) -> dict[str, list[dict[str, object]]]:
    """All but the numbers that rows happen to have."""
    return {name: [{**row, "id": None} for row in db.rows(query)] for name, query in EVERYTHING.items()}


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


def change(db: Database) -> None:
    """Make the database less regular: a run that diverged, NULLs, dates, a recipe of ours."""
    with db.transaction() as session:
        for sql in (
            "DELETE FROM epochs WHERE run_id = 2 AND epoch > 3",
            "UPDATE runs SET status = 'diverged', test_top1 = NULL, message = 'NaN' WHERE id = 2",
            "UPDATE runs SET started_at = '2026-01-02 03:04:05.678901', worker = 'a:1' WHERE id = 3",
            "UPDATE epochs SET val_loss_micro = NULL WHERE run_id = 4",
            "UPDATE recipes SET config = '{\"lr\": 0.1}', digest = 'abc'",
            "UPDATE latencies SET spread_ms = 0.25 WHERE device_id = 1",
        ):
            session.execute(text(sql))


def test_parquet_files_rebuild_the_database(tiny_db: Database, empty_db: Database, tmp_path: Path) -> None:
    change(tiny_db)
    report = bloxdb.export_parquet(tmp_path / "out", tiny_db)
    assert [path.name for path in report.files] == [
        f"{name}.parquet" for name in ("devices", "envs", "epochs", "latencies", "recipes", "runs")
    ]
    merged = bloxdb.import_parquet(tmp_path / "out", empty_db)
    assert everything(empty_db) == everything(tiny_db)
    assert (merged.added, merged.agreed) == (40 + 80, 0)
    again = bloxdb.import_parquet(tmp_path / "out", empty_db)
    assert (again.added, again.agreed) == (0, 120)
    assert empty_db.rows("PRAGMA foreign_key_check") == []


def test_parquet_has_units_zstd_and_groups_of_whole_architectures(
    tiny_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bloxdb.parquet._ARCHS_A_GROUP", 7)
    bloxdb.export_parquet(tmp_path, tiny_db)
    opened = pq.ParquetFile(tmp_path / "epochs.parquet")
    assert opened.num_row_groups == 6
    ends = []
    for group in range(6):
        archs = opened.read_row_group(group)["arch_id"].to_pylist()
        assert archs == sorted(archs)
        ends += [archs[0], archs[-1]]
        assert opened.metadata.row_group(group).column(0).compression == "ZSTD"
    assert ends == sorted(ends)
    assert all(a < b for a, b in zip(ends[1::2], ends[2::2], strict=False))
    assert opened.schema_arrow.field("train_loss").metadata[b"unit"] == b"nats"


def test_contradictions_and_replacing(tiny_db: Database, tmp_path: Path) -> None:
    bloxdb.export_parquet(tmp_path, tiny_db)
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET test_top1 = 1.5 WHERE id = 1"))
    with pytest.raises(bloxdb.ConflictError, match="1 values contradict"):
        bloxdb.import_parquet(tmp_path, tiny_db)
    assert bloxdb.import_parquet(tmp_path, tiny_db, replace=True).replaced == 1
    assert tiny_db.rows("SELECT count(*) AS n FROM runs WHERE test_top1 = 1.5") == [{"n": 0}]


def test_damage_is_found(tiny_db: Database, empty_db: Database, tmp_path: Path) -> None:
    def damaged(name: str, data: bytes | None = None, table: pa.Table | None = None) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(tmp_path / "good", folder)
        path = folder / name
        if table is not None:
            pq.write_table(table, path)
        elif data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        return folder

    good = tmp_path / "good"
    bloxdb.export_parquet(good, tiny_db)
    epochs, runs = (pq.read_table(good / f"{name}.parquet") for name in ("epochs", "runs"))
    whole = (good / "epochs.parquet").read_bytes()
    cases = [
        (damaged("envs.parquet"), "there is no .*envs.parquet"),
        (damaged("epochs.parquet", whole[:-20]), "is damaged"),
        (
            damaged("epochs.parquet", whole[:500] + b"\0" * 400 + whole[900:]),
            "is damaged",
        ),
        (damaged("epochs.parquet", table=epochs.drop(["val_loss"])), "lacks the column val_loss"),
        (damaged("epochs.parquet", table=epochs.slice(1)), "lacks some of its epochs"),
        (damaged("runs.parquet", table=runs.slice(1)), "refers to one that is in none"),
    ]
    shifted = epochs.set_column(
        epochs.schema.get_field_index("val_top1"), "val_top1", pa.array([0.12345] * len(epochs))
    )
    cases.append(
        (damaged("epochs.parquet", table=shifted), "row 0, column val_top1: the value 0.12345 has more")
    )
    for folder, message in cases:
        with pytest.raises((bloxdb.ReleaseError, bloxdb.BloxFormatError), match=message):
            bloxdb.import_parquet(folder, empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
    assert empty_db.path is not None
    assert not list(empty_db.path.parent.glob(".bloxdb-*"))


def test_the_command_line_writes_and_reads_parquet(tiny_file: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        code = "from bloxdb.cli import main; main(prog_name='bloxdb')"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    out = run("export", "--format", "parquet", "--db", tiny_file, "--out", tmp_path / "out", "--seed", 3)
    assert out.count(".parquet") == 6
    assert run("import", tmp_path / "out", "--db", tmp_path / "new.db").startswith("120 added, 0 replaced")

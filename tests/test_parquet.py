"""A database as Parquet files, there and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text, update

import bloxdb
from bloxdb import Database
from bloxdb.db.schema import Base
from bloxdb.db.statuses import STATUSES
from tests.helpers import SEEDS

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


def change(db: Database) -> None:
    """Make the database less regular: a run that diverged, NULLs, dates, a recipe of ours."""
    with db.transaction() as session:
        for sql in (
            "DELETE FROM epochs WHERE run_id = 2 AND epoch > 3",
            "UPDATE runs SET status = 'diverged', test_top1 = NULL, message = 'NaN', best_epoch = NULL, val_top1 = NULL WHERE id = 2",
            "UPDATE runs SET started_at = '2026-01-02 03:04:05.678901', worker = 'a:1' WHERE id = 3",
            "UPDATE epochs SET val_loss_micro = NULL WHERE run_id = 4",
            "UPDATE recipes SET config = '{\"lr\": 0.1}', digest = 'abc'",
            "UPDATE latencies SET spread_ms = 0.25 WHERE device_id = 1",
        ):
            session.execute(text(sql))


@pytest.mark.slow
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


@pytest.mark.slow
def test_contradictions_and_replacing(tiny_db: Database, tmp_path: Path) -> None:
    bloxdb.export_parquet(tmp_path, tiny_db)
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET test_top1 = 1.5 WHERE id = 1"))
    with pytest.raises(bloxdb.ConflictError, match="1 value contradicts"):
        bloxdb.import_parquet(tmp_path, tiny_db)
    assert bloxdb.import_parquet(tmp_path, tiny_db, replace=True).replaced == 1
    assert tiny_db.rows("SELECT count(*) AS n FROM runs WHERE test_top1 = 1.5") == [{"n": 0}]


@pytest.mark.slow
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
    ids = runs["id"].to_pylist()
    other = runs.set_column(runs.schema.get_field_index("id"), "id", pa.array([10**6, *ids[1:]]))
    cases = [
        (damaged("envs.parquet"), "there is no .*envs.parquet"),
        (damaged("epochs.parquet", whole[:-20]), "is damaged"),
        (
            damaged("epochs.parquet", whole[:500] + b"\0" * 400 + whole[900:]),
            "is damaged",
        ),
        (damaged("epochs.parquet", table=epochs.drop(["val_loss"])), "lacks the column val_loss"),
        (damaged("epochs.parquet", table=epochs.slice(1)), "lacks some of its epochs"),
        (damaged("runs.parquet", table=runs.slice(1)), "by the recipes of its runs there can be 390 at the"),
        (damaged("runs.parquet", table=other), "refers to one that is in none"),
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


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_how_many_shared_a_device_is_kept_and_unknown_in_older_files(
    tiny_db: Database, empty_db: Database, tmp_path: Path, known: bool
) -> None:
    with tiny_db.transaction() as session:
        session.execute(update(bloxdb.Run).values(device_workers=3))
    bloxdb.export_parquet(tmp_path, tiny_db)
    if not known:
        path = tmp_path / "runs.parquet"
        pq.write_table(pq.read_table(path).drop(["device_workers"]), path)
    bloxdb.import_parquet(tmp_path, empty_db)
    assert empty_db.rows("SELECT DISTINCT device_workers AS n FROM runs") == [{"n": 3 if known else None}]


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_how_a_device_was_measured_is_kept_and_unknown_in_older_files(
    tiny_db: Database, empty_db: Database, tmp_path: Path, known: bool
) -> None:
    with tiny_db.transaction() as session:
        session.execute(update(bloxdb.Device).values(settings={"batch": 1}))
    bloxdb.export_parquet(tmp_path, tiny_db)
    if not known:
        path = tmp_path / "devices.parquet"
        pq.write_table(pq.read_table(path).drop(["settings"]), path)
    bloxdb.import_parquet(tmp_path, empty_db)
    found = {str(device.settings) for device in empty_db.reader.query(bloxdb.Device)}
    assert found == {"{'batch': 1}" if known else "None"}


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_can_be_written_in_many_ways(
    tiny_db: Database, tmp_path: Path, spelling: Callable[[int], Any]
) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET seed = 4 WHERE id <= 10"))
    bloxdb.export_parquet(tmp_path, tiny_db, seeds=spelling(4))
    assert pq.read_table(tmp_path / "runs.parquet")["seed"].to_pylist() == [4] * 10
    assert len(pq.read_table(tmp_path / "epochs.parquet")) == 100


def test_runs_that_have_not_ended_are_not_written(tiny_db: Database, tmp_path: Path) -> None:
    for number, status in enumerate(STATUSES, start=1):
        with tiny_db.transaction() as session:
            session.execute(text(f"UPDATE runs SET status = '{status}' WHERE id = {number}"))
    bloxdb.export_parquet(tmp_path, tiny_db)
    found = set(pq.read_table(tmp_path / "runs.parquet")["status"].to_pylist())
    assert found == set(STATUSES) - {"pending", "running"}
    assert len(pq.read_table(tmp_path / "epochs.parquet")) == 380


def test_files_of_an_older_revision_may_lack_what_has_a_default(
    tiny_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    bloxdb.export_parquet(tmp_path, tiny_db)
    lacking = 0
    for path in tmp_path.glob("*.parquet"):
        table = pq.read_table(path)
        model = Base.metadata.tables[path.stem]
        late = [c.name for c in model.columns if c.server_default is not None and c.computed is None]
        pq.write_table(table.drop(late), path)
        lacking += len(late)
    assert lacking  # first_epoch_is_best, of revision 0002, among them
    bloxdb.import_parquet(tmp_path, empty_db)
    assert everything(empty_db) == everything(tiny_db)

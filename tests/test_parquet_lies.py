"""Parquet files that say what is not so: an error that names file, row and column, and nothing is imported."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.errors import BloxFormatError, ReleaseError
from tests.release.helpers import TINY


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """What a small database exports."""
    folder = tmp_path_factory.mktemp("parquet")
    path = folder / "blox.db"
    path.write_bytes(empty_file.read_bytes())
    with bloxdb.open(path, current=False) as db:
        bloxdb.import_release(golden / TINY, db)
        bloxdb.export_parquet(folder / "out", db)
    path.unlink()
    return folder / "out"


@pytest.fixture(scope="module")
def taking(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Iterator[Database]:
    """A database into which nothing of a lie comes."""
    path = tmp_path_factory.mktemp("taking") / "blox.db"
    path.write_bytes(empty_file.read_bytes())
    with bloxdb.open(path, current=False) as db:
        yield db
    shutil.rmtree(path.parent)


Change = Callable[[list[Any]], list[Any]]


def at(row: int, value: object) -> Change:
    """Another value in a row."""
    return lambda values: [*values[:row], value, *values[row + 1 :]]


def with_column(path: Path, column: str, change: Change) -> None:
    """Write a file anew, with other values in a column."""
    read = pq.read_table(path)
    field = read.schema.field(column)
    changed = pa.array(change(read[column].to_pylist()), type=field.type)
    pq.write_table(read.set_column(read.schema.get_field_index(column), field, changed), path)


VALUES: list[tuple[str, str, Change, str]] = [
    ("runs", "flops", at(1, 1), "it is 1, but architecture"),
    ("runs", "params", at(0, 7), "it is 7, but architecture"),
    ("runs", "test_top1", at(2, 12345.0), "outside 0 … 100 percent"),
    ("runs", "test_top5", at(2, -0.5), "outside 0 … 100 percent"),
    ("runs", "test_loss", at(2, float("inf")), "is infinite"),
    ("runs", "train_time_s", at(0, -1), "negative"),
    ("runs", "best_epoch", at(1, 900), "the run has .* epochs, and no 900"),
    ("runs", "best_epoch", at(1, 0), "0 is outside 1"),
    ("runs", "best_epoch", at(1, None), "there is no best epoch"),
    ("runs", "train_time_s", at(1, None), "the run is finished, and it cannot be left out; write what was"),
    *(
        ("runs", column, at(0, date), f"{date.year}-.* is outside 1970-01-01 00:00:00 … 9998-12-31")
        for column in ("started_at", "finished_at", "heartbeat_at")
        for date in (datetime(1900, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))
    ),
    ("runs", "val_top1", at(1, 99.98), "the best one, has"),
    ("runs", "val_top1", at(1, None), "the best one, has"),
    ("runs", "seed", at(0, -5), "-5 is outside 0"),
    ("runs", "status", at(0, "running"), "'running' is none of"),
    ("runs", "status", at(0, "x" * 5000), "longer than"),
    ("runs", "arch_id", at(3, 91_125), "91125 is outside"),
    ("runs", "arch_id", at(3, None), "it is null"),
    ("runs", "recipe_id", at(3, 99), "refers to one that is in none of the files"),
    ("runs", "env_id", at(3, 99), "refers to one that is in none of the files"),
    ("runs", "id", lambda ids: [ids[1], *ids[1:]], "row 0 has id"),
    ("runs", "device_workers", at(0, 0), "0 is outside 1"),
    ("runs", "message", at(0, "a\0b"), "zero byte"),
    ("epochs", "val_top1", at(4, 100.5), "outside 0 … 100 percent"),
    ("epochs", "train_loss", at(4, -1e-6), "negative"),
    ("epochs", "train_loss", at(4, float("-inf")), "infinite"),
    ("epochs", "epoch", at(4, 0), "0 is outside 1"),
    ("epochs", "epoch", at(4, None), "it is null"),
    ("epochs", "run_id", at(4, 10**15), "outside 0"),
    ("recipes", "epochs", at(0, -3), "-3 is outside"),
    ("recipes", "epochs", at(0, 60_000), "a finished run has 60,000 epochs"),
    ("recipes", "name", at(0, "*"), "stands for all recipes"),
    ("recipes", "name", at(0, "n" * 201), "longer than 200"),
    ("recipes", "config", at(0, "{"), "it is not JSON"),
    ("recipes", "config", at(0, "[1]"), "no object of JSON"),
    *(
        (table, column, at(0, text), "it is not JSON")
        for table, column in (("recipes", "config"), ("devices", "settings"))
        for text in ('{"lr": NaN}', '{"lr": 1e999}', '{"lr": -Infinity}', '{"lr": "\\ud800"}', "[" * 5000)
    ),
    *(("devices", "name", at(0, name), "is no name for a device") for name in ("", " ", "a\nb", "a---b")),
    ("devices", "name", at(0, "é/" * 60), "is no name for a device"),
    ("recipes", "train_images", at(0, -1), "-1 is outside"),
    ("devices", "name", at(0, "jetson-nano"), "row 0 has name jetson-nano too|row . has name"),
    ("latencies", "latency_ms", at(0, -0.5), "negative"),
    ("latencies", "latency_ms", at(0, float("inf")), "infinite"),
    ("latencies", "latency_ms", at(0, float("nan")), "not a number|is null"),
    ("latencies", "spread_ms", at(0, -1.0), "negative"),
    ("latencies", "device_id", at(0, 77), "refers to one that is in none of the files"),
    ("latencies", "arch_id", at(0, -1), "-1 is outside"),
]


@pytest.mark.parametrize(
    ("table", "column", "change", "told"), VALUES, ids=[f"{v[0]}.{v[1]}-{i}" for i, v in enumerate(VALUES)]
)
def test_a_value_that_cannot_be_is_told_with_file_row_and_column(
    table: str, column: str, change: Change, told: str, honest: Path, taking: Database, tmp_path: Path
) -> None:
    shutil.copytree(honest, tmp_path / "out")
    path = tmp_path / "out" / f"{table}.parquet"
    with_column(path, column, change)
    with pytest.raises(BloxFormatError, match=told) as caught:
        bloxdb.import_parquet(tmp_path / "out", taking)
    assert caught.value.source.startswith(str(tmp_path / "out"))
    assert caught.value.column is not None
    assert ".bloxdb-" not in str(caught.value)
    assert taking.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]


TYPES: dict[str, Callable[[Any], Any]] = {
    "texts": lambda found: pa.array([str(value) for value in found.to_pylist()]),
    "bytes": lambda found: pa.array([str(value).encode() for value in found.to_pylist()]),
    "lists": lambda found: pa.array([[value] for value in found.to_pylist()]),
    "structs": lambda found: pa.array([{"x": 1}] * len(found)),
    "dates": lambda found: pa.array([datetime(2026, 1, 2, tzinfo=UTC)] * len(found)),
    "half floats": lambda found: pa.array(np.zeros(len(found), dtype=np.float16)),
    "truth": lambda found: pa.array([True] * len(found)),
    "a decimal": lambda found: pa.array([1] * len(found)).cast(pa.decimal128(30, 2)),
    "huge integers": lambda found: pa.array([2**64 - 1] * len(found), type=pa.uint64()),
    "a dictionary": lambda found: pa.array(["x"] * len(found)).dictionary_encode(),
}
OF_TYPES = [
    ("runs", "seed"), ("runs", "test_top1"), ("runs", "status"), ("runs", "started_at"),
    ("epochs", "epoch"), ("epochs", "val_loss"), ("recipes", "first_epoch_is_best"),
    ("latencies", "latency_ms"), ("recipes", "config"),
]  # fmt: skip


DUE = [("status", "texts"), ("config", "texts"), ("first_epoch_is_best", "truth")]


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [(*place, kind) for place in OF_TYPES for kind in TYPES if (place[1], kind) not in DUE],
)
def test_a_column_of_another_type_is_told_as_one_of_our_errors(
    table: str, column: str, kind: str, honest: Path, taking: Database, tmp_path: Path
) -> None:
    shutil.copytree(honest, tmp_path / "out")
    path = tmp_path / "out" / f"{table}.parquet"
    read = pq.read_table(path)
    index = read.schema.get_field_index(column)
    changed = read.set_column(index, column, TYPES[kind](read[column]))
    assert len(read)
    pq.write_table(changed, path)
    with pytest.raises((BloxFormatError, ReleaseError)) as caught:
        bloxdb.import_parquet(tmp_path / "out", taking)
    assert re.match(rf"{re.escape(str(path))}.* column {column}", str(caught.value))
    assert taking.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]


def test_a_best_epoch_that_is_not_the_best_is_told(honest: Path, taking: Database, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "out")
    path = tmp_path / "out" / "runs.parquet"
    read, epochs = pq.read_table(path), pq.read_table(tmp_path / "out" / "epochs.parquet").to_pylist()
    first = {row["run_id"]: row["val_top1"] for row in epochs if row["epoch"] == 1}
    for column, values in (
        ("best_epoch", [1] * len(read)),  # with its own accuracy
        ("val_top1", [first[number] for number in read["id"].to_pylist()]),
    ):
        index = read.schema.get_field_index(column)
        read = read.set_column(
            index, read.schema.field(column), pa.array(values, read.schema.field(column).type)
        )
    pq.write_table(read, path)
    with pytest.raises(BloxFormatError, match="epoch 1 is said to be the best and has .*, but another has"):
        bloxdb.import_parquet(tmp_path / "out", taking)


def test_of_equal_accuracies_the_best_is_that_of_the_lowest_loss(
    honest: Path, taking: Database, tmp_path: Path
) -> None:
    """The rule of `RunRecord.finish` and of `bloxdb check`; a loss that was not measured is the highest."""
    shutil.copytree(honest, tmp_path / "out")
    best = pq.read_table(honest / "runs.parquet")["best_epoch"].to_pylist()
    runs = dict(zip(pq.read_table(honest / "runs.parquet")["id"].to_pylist(), best, strict=True))
    rows = pq.read_table(honest / "epochs.parquet").to_pylist()
    place = {(row["run_id"], row["epoch"]): i for i, row in enumerate(rows)}
    run, epoch = next((run, epoch) for run, epoch in runs.items() if epoch > 1)
    at_best, other = place[run, epoch], place[run, 1]
    path = tmp_path / "out" / "epochs.parquet"
    with_column(path, "val_top1", at(other, rows[at_best]["val_top1"]))
    for loss, others_loss in ((0.5, 0.25), (None, 0.5)):
        with_column(path, "val_loss", at(at_best, loss))
        with_column(path, "val_loss", at(other, others_loss))
        with pytest.raises(BloxFormatError, match="but 1 has the same top-1 and a lower loss") as caught:
            bloxdb.import_parquet(tmp_path / "out", taking)
        assert (caught.value.column, caught.value.row) == ("best_epoch", list(runs).index(run))


def test_a_finished_run_says_its_best_epoch(honest: Path, taking: Database, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "out")
    for column in ("best_epoch", "val_top1"):
        with_column(tmp_path / "out" / "runs.parquet", column, at(2, None))
    with pytest.raises(
        BloxFormatError, match="row 2, column best_epoch: the run is finished, and no best epoch is given"
    ):
        bloxdb.import_parquet(tmp_path / "out", taking)


@pytest.mark.parametrize(("table", "column"), [("recipes", "name"), ("epochs", "run_id"), ("runs", "seed")])
def test_a_column_that_is_there_twice_is_told(
    table: str, column: str, honest: Path, taking: Database, tmp_path: Path
) -> None:
    shutil.copytree(honest, tmp_path / "out")
    path = tmp_path / "out" / f"{table}.parquet"
    read = pq.read_table(path)
    pq.write_table(read.append_column(column, read[column]), path)
    with pytest.raises(
        ReleaseError, match=f"{re.escape(str(path))} has the column '{column}' more than once"
    ):
        bloxdb.import_parquet(tmp_path / "out", taking)


@pytest.mark.slow
def test_a_conflict_names_the_folder_and_no_file_of_ours(
    honest: Path, empty_db: Database, tmp_path: Path
) -> None:
    bloxdb.import_parquet(honest, empty_db)
    shutil.copytree(honest, tmp_path / "out")
    path = tmp_path / "out" / "runs.parquet"
    read = pq.read_table(path)
    changed = pa.array(at(0, 1.0)(read["test_top1"].to_pylist()))
    pq.write_table(read.set_column(read.schema.get_field_index("test_top1"), "test_top1", changed), path)
    with pytest.raises(bloxdb.ConflictError, match=re.escape(str(tmp_path / "out"))) as caught:
        bloxdb.import_parquet(tmp_path / "out", empty_db)
    assert "parquet.db" not in str(caught.value)


@pytest.mark.parametrize("replace", [False, True])
def test_costs_that_somebody_changed_in_a_database_are_not_believed_in_its_files(
    tiny_db: Database, taking: Database, tmp_path: Path, replace: bool
) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE static_info SET flops = flops + 1"))
        session.execute(text("UPDATE runs SET flops = flops + 1"))
    bloxdb.export_parquet(tmp_path / "out", tiny_db)
    for db in (tiny_db, taking):
        with pytest.raises(BloxFormatError, match=r"runs.parquet, row 0, column flops: it is \d+, but arch"):
            bloxdb.import_parquet(tmp_path / "out", db, replace=replace)

"""Parquet files of few bytes that claim many rows: refused before they are read, in little memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bloxdb
from bloxdb import Database, arrow_reading
from bloxdb.errors import BloxFormatError
from tests.release.helpers import TINY

TABLES = ("recipes", "envs", "devices", "runs", "latencies", "epochs")
MILLIONS = 3_000_000


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """What a small database exports."""
    folder = tmp_path_factory.mktemp("claims")
    shutil.copyfile(empty_file, folder / "blox.db")
    with bloxdb.open(folder / "blox.db", current=False) as db:
        bloxdb.import_release(golden / TINY, db)
        bloxdb.export_parquet(folder / "out", db)
    return folder / "out"


@pytest.fixture
def lies(honest: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(honest, tmp_path / "out")
    return tmp_path / "out"


def repeated(path: Path, count: int) -> None:
    """The first row of a file so many times, as run lengths."""
    read = pq.read_table(path)
    schema = read.schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        row = read.slice(0, 1)
        for _ in range(0, count, MILLIONS):
            few = {field.name: pa.array([row[field.name][0].as_py()] * 1000, field.type) for field in schema}
            writer.write_table(
                pa.concat_tables([pa.table(few, schema=schema)] * (min(count, MILLIONS) // 1000))
            )


IMPORT = """
import resource, sys
import bloxdb, pyarrow, numpy, bloxdb.arrow_reading
from bloxdb import Database
pyarrow.set_cpu_count(1)
with bloxdb.open(sys.argv[2], current=False) as db:
    if len(sys.argv) > 3:
        bloxdb.import_parquet(sys.argv[3], db)  # an honest one, which takes what it takes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        bloxdb.import_parquet(sys.argv[1], db)
    except bloxdb.BloxError as error:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("table", TABLES)
def test_millions_of_equal_rows_in_few_bytes_are_refused_in_little_memory(
    table: str, lies: Path, empty_file: Path, tmp_path: Path
) -> None:
    path = lies / f"{table}.parquet"
    repeated(path, MILLIONS)
    assert path.stat().st_size < 1_000_000
    shutil.copyfile(empty_file, tmp_path / "blox.db")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, lies, tmp_path / "blox.db"], capture_output=True, text=True, check=True
    )
    grown, said = done.stdout.split("\n", 1)
    assert said.startswith(f"BloxFormatError {path}: the file says that it has 3,000,000 rows, and ")
    assert int(grown) < 128  # megabytes; it was 4,500 of environments


CLAIMS: list[tuple[str, int, str]] = [
    ("latencies", 91_125 * 2, r"has 182,000 rows, and by its devices and all architectures there can be 91,125"),
    ("epochs", 5_000, "has 5,000 rows, and by the recipes of its runs there can be 400 at the most"),
    *((table, 200_000, r"has 200,000 rows, and in .* bytes there can be [\d,]+ at the most") for table in TABLES[:4]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "count", "told"), CLAIMS)
def test_more_rows_than_there_can_be_are_refused(
    table: str, count: int, told: str, lies: Path, empty_db: Database
) -> None:
    repeated(lies / f"{table}.parquet", count)
    if table == "latencies":
        pq.write_table(pq.read_table(lies / "devices.parquet").slice(0, 1), lies / "devices.parquet")
    with pytest.raises(BloxFormatError, match=told):
        bloxdb.import_parquet(lies, empty_db)


@pytest.mark.parametrize("table", TABLES[:5])
def test_rows_that_are_there_twice_end_at_the_second(table: str, lies: Path, empty_db: Database) -> None:
    repeated(lies / f"{table}.parquet", 90_000)
    with pytest.raises(BloxFormatError, match=f"{table}.parquet, row 1, column .*row 0 has"):
        bloxdb.import_parquet(lies, empty_db)


def with_texts(path: Path, column: str, write: Callable[[int], str], **options: Any) -> None:
    """A table of 5,000 rows that differ, one of whose texts is written so."""
    read = pq.read_table(path)
    row = read.slice(0, 1).to_pylist()[0]
    rows = [{**row, "id": i + 1, "name": f"n{i}", "seed": i, column: write(i)} for i in range(5_000)]
    rows = [{name: value for name, value in one.items() if name in read.schema.names} for one in rows]
    pq.write_table(pa.Table.from_pylist(rows, schema=read.schema), path, compression="zstd", **options)


LONG = "x" * 200_000
TEXTS: dict[str, tuple[str, str, Callable[[int], str], dict[str, Any]]] = {
    "one text that repeats": ("envs", "gpu", lambda i: LONG, {}),
    "settings that repeat": ("recipes", "config", lambda i: '{"x": "%s"}' % LONG, {}),  # noqa: UP031
    "beginnings that repeat": (
        "envs",
        "gpu",
        lambda i: LONG + str(i),
        {"use_dictionary": False, "column_encoding": {"gpu": "DELTA_BYTE_ARRAY"}},
    ),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_unfold_to_much_are_refused_in_little_memory(
    kind: str, lies: Path, empty_file: Path, tmp_path: Path
) -> None:
    table, column, write, options = TEXTS[kind]
    path = lies / f"{table}.parquet"
    with_texts(path, column, write, **options)
    assert path.stat().st_size < 500_000
    shutil.copyfile(empty_file, tmp_path / "blox.db")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, lies, tmp_path / "blox.db"], capture_output=True, text=True, check=True
    )
    grown, said = done.stdout.split("\n", 1)
    assert said.startswith(f"BloxFormatError {path}: its rows unfold to more than ")
    assert int(grown) < 256  # megabytes, of 1,000


def test_a_type_that_holds_many_in_one_row_is_refused_before_it_is_read(
    lies: Path, empty_db: Database
) -> None:
    path = lies / "runs.parquet"
    read = pq.read_table(path)
    rows = pa.array([[0] * 10_000_000] + [[0]] * (len(read) - 1))
    pq.write_table(read.set_column(read.schema.get_field_index("seed"), "seed", rows), path)
    before = pa.total_allocated_bytes()
    del rows
    with pytest.raises(BloxFormatError, match="its pages unfold|column seed: the column holds list"):
        bloxdb.import_parquet(lies, empty_db)
    assert pa.total_allocated_bytes() <= before


def test_a_run_with_more_epochs_than_its_recipe_is_told_where_another_has_fewer(
    lies: Path, empty_db: Database
) -> None:
    path = lies / "epochs.parquet"
    rows = pq.read_table(path).to_pylist()
    runs = pq.read_table(lies / "runs.parquet").to_pylist()
    runs[1] |= {"status": "failed", "best_epoch": None, "val_top1": None}  # it may lack epochs
    schema, spare = pq.read_schema(lies / "runs.parquet"), runs[1]["id"]
    pq.write_table(pa.Table.from_pylist(runs, schema=schema), lies / "runs.parquet")
    more = {**rows[9], "epoch": 11}
    rows = [row for row in rows if (row["run_id"], row["epoch"]) != (spare, 10)]
    pq.write_table(pa.Table.from_pylist([*rows[:10], more, *rows[10:]], schema=pq.read_schema(path)), path)
    with pytest.raises(BloxFormatError, match=rf"run {more['run_id']} has 11 epochs, and its recipe 10"):
        bloxdb.import_parquet(lies, empty_db)


@pytest.mark.parametrize("at_once", [1, 7, 64, 10_000])
def test_a_large_group_of_rows_is_read_some_at_a_time(
    at_once: int, honest: Path, empty_db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(arrow_reading, "GROUP", max(at_once, 20))
    monkeypatch.setattr(arrow_reading, "ROWS", at_once)
    bloxdb.import_parquet(honest, empty_db)
    bloxdb.export_parquet(tmp_path / "again", empty_db)
    for table in TABLES:
        (one, other) = (pq.read_table(folder / f"{table}.parquet") for folder in (honest, tmp_path / "again"))
        assert one.drop_columns(
            set(one.schema.names) & {"id", "run_id", "recipe_id", "env_id", "device_id"}
        ).equals(
            other.drop_columns(set(one.schema.names) & {"id", "run_id", "recipe_id", "env_id", "device_id"})
        )

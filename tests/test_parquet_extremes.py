"""Extremes of what a database holds, in Parquet files as pyarrow reads them: the very values, or a sentence."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

import bloxdb
from bloxdb import Database
from bloxdb.db.schema import EPOCH_MEASURES, Latency, Recipe, Run
from bloxdb.errors import BloxFormatError
from bloxdb.measures import EXACT, Measure

LARGEST = 2**63 - 1
WHOLE = st.integers(0, LARGEST) | st.sampled_from([0, EXACT - 1, EXACT, EXACT + 1, LARGEST - 1, LARGEST])
EXACTLY = st.integers(0, EXACT - 1) | st.sampled_from([0, EXACT - 1])
FLOATS = st.floats(0, allow_infinity=False) | st.sampled_from([5e-324, 2.0**53 + 2, 1.7976931348623157e308])
PERCENT = st.floats(0, 100)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
DATES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999))
CONFIGS = st.dictionaries(
    TEXTS, st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS, max_size=3
)

RUNS: dict[str, st.SearchStrategy[Any]] = {
    "seed": WHOLE,
    "train_time_s": EXACTLY,
    "flops": EXACTLY,
    "test_top1": PERCENT,
    "test_top5": PERCENT,
    "val_top1": PERCENT,
    "test_loss": FLOATS,
    "best_epoch": st.integers(1, 2**31 - 1),
    "device_workers": st.integers(1, 2**31 - 1),
    "worker": TEXTS,
    "message": TEXTS,
    **dict.fromkeys(("started_at", "finished_at", "heartbeat_at"), DATES),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Iterator[tuple[Database, Path]]:
    folder = tmp_path_factory.mktemp("extremes")
    path = folder / "blox.db"
    path.write_bytes(tiny_file.read_bytes())
    with bloxdb.open(path, current=False) as db:
        yield db, folder
    path.unlink()


def _above(measure: Measure) -> int:
    """The lowest stored integer that is too high."""
    return 100 * measure.scale + 1 if measure.unit == "percent" else EXACT


@contextmanager
def changed(db: Database, table: str, column: str, where: str, value: object) -> Iterator[None]:
    """What SQL puts into a row, while the block lasts."""
    ((before,),) = (row.values() for row in db.rows(f"SELECT {column} FROM {table} WHERE {where}"))
    for one in (value, before):
        with db.transaction() as session:
            query = text(f"UPDATE {table} SET {column} = :value WHERE {where}")
            session.execute(query, {"value": one})
        if one is value:
            yield


def bits(value: object) -> object:
    """A float by its bits, so that 0.0 and -0.0 differ; anything else with its type."""
    return struct.pack("<d", value) if isinstance(value, float) else (type(value), value)


def written(place: tuple[Database, Path], table: str) -> pa.Table:
    db, folder = place
    bloxdb.export_parquet(folder / "out", db)
    return pq.read_table(folder / "out" / f"{table}.parquet")


@given(
    st.fixed_dictionaries(
        {
            name: st.none() | values if name not in ("seed", "flops", "train_time_s") else values
            for name, values in RUNS.items()
        }
    ),
    st.integers(1, 40),
)
@example({**dict.fromkeys(RUNS), "seed": LARGEST, "flops": EXACT - 1, "train_time_s": EXACT - 1}, 7)
@settings(max_examples=25)
def test_extremes_of_runs_are_the_same_for_pyarrow(
    place: tuple[Database, Path], values: dict[str, Any], run_id: int
) -> None:
    with place[0].transaction() as session:
        session.execute(update(Run).where(Run.id == run_id).values(values))
    found = written(place, "runs")
    assert not [
        field
        for field in found.schema
        if field.name in ("seed", "train_time_s", "flops") and field.type != pa.int64()
    ]
    (row,) = [row for row in found.to_pylist() if row["id"] == run_id]
    for name, value in values.items():
        assert bits(row[name]) == bits(value), name


@given(st.lists(FLOATS, min_size=2, max_size=2), CONFIGS, st.integers(0, 2**31 - 1))
@settings(max_examples=15)
def test_extremes_of_latencies_and_recipes_are_the_same_for_pyarrow(
    place: tuple[Database, Path], latencies: list[float], config: dict[str, Any], images: int
) -> None:
    with place[0].transaction() as session:
        session.execute(update(Recipe).values(config=config, train_images=images))
        session.execute(update(Latency).values(latency_ms=latencies[0], spread_ms=latencies[1]))
    for row in written(place, "latencies").to_pylist():
        assert [bits(row[name]) for name in ("latency_ms", "spread_ms")] == [bits(one) for one in latencies]
    (row,) = pq.read_table(place[1] / "out" / "recipes.parquet").to_pylist()
    assert (json.loads(row["config"]), row["train_images"]) == (config, images)


@pytest.mark.parametrize("name", EPOCH_MEASURES)
@given(st.data())
@settings(max_examples=3)
def test_extremes_of_epochs_are_the_nearest_float_for_pyarrow(
    place: tuple[Database, Path], name: str, data: st.DataObject
) -> None:
    measure = EPOCH_MEASURES[name]
    highest = EXACT - 1 if measure.highest > 100 else int(measure.highest) * measure.scale
    stored = data.draw(st.none() | st.integers(0, highest) | st.sampled_from([0, 1, highest]))
    with place[0].transaction() as session:
        query = f"UPDATE epochs SET {measure.column} = :stored WHERE run_id = 9 AND epoch = 3"
        session.execute(text(query), {"stored": stored})
    found = [row for row in written(place, "epochs").to_pylist() if (row["run_id"], row["epoch"]) == (9, 3)]
    assert [bits(row[name]) for row in found] == [bits(None if stored is None else stored / measure.scale)]


REFUSED = [
    *(("epochs", name, value) for name, m in EPOCH_MEASURES.items() for value in (-1, LARGEST, _above(m))),
    *(("runs", name, value) for name in ("train_time_s", "flops", "params") for value in (-1, EXACT, LARGEST)),
    *(("runs", name, value) for name in ("val_top1", "test_top1", "test_top5") for value in (-0.5, 100.5, math.inf)),
    *(("runs", "test_loss", value) for value in (-0.5, math.inf)),
    *(("latencies", name, value) for name in ("latency_ms", "spread_ms") for value in (-0.5, math.inf)),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "value"), REFUSED)
def test_what_no_measure_has_is_refused(
    place: tuple[Database, Path], table: str, column: str, value: float
) -> None:
    db, folder = place
    stored = EPOCH_MEASURES[column].column if table == "epochs" else column
    arch = db.rows("SELECT min(arch_id) AS arch FROM latencies")[0]["arch"]
    of_arch = f"arch_id = {arch} AND device_id = 1"
    where = {"epochs": "run_id = 8 AND epoch = 2", "runs": "id = 8", "latencies": of_arch}[table]
    with changed(db, table, stored, where, value), pytest.raises(BloxFormatError) as caught:
        bloxdb.export_parquet(folder / "refused", db)
    told = {
        "epochs": "epochs, run_id 8, epoch 2",
        "runs": "runs, id 8",
        "latencies": f"latencies, arch_id {arch}",
    }
    assert str(caught.value).startswith(f"{told[table]}, column {column}: the value ")
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, 2.5) for column in ("seed", "best_epoch", "train_time_s", "device_workers")),
        *(
            (column, value)
            for column in ("seed", "test_top1", "train_time_s")
            for value in ("text", b"bytes")
        ),
    ],
)
def test_what_is_no_number_is_told_as_one_of_our_errors(
    place: tuple[Database, Path], column: str, value: object
) -> None:
    db, folder = place
    told = rf"runs, id 8, column {column}: .* is no (int|float); `bloxdb check` tells"
    with changed(db, "runs", column, "id = 8", value), pytest.raises(BloxFormatError, match=told):
        bloxdb.export_parquet(folder / "refused", db)


def test_a_check_finds_what_an_export_refuses(tiny_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.db"
    path.write_bytes(tiny_file.read_bytes())
    count = Counter[tuple[str, str]]()
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, name, value in REFUSED:
            column = EPOCH_MEASURES[name].column if table == "epochs" else name
            at = count[table, column]
            rows = f"SELECT rowid FROM {table} LIMIT 1 OFFSET {at}"
            where = f"run_id = {at + 1} AND epoch = 1" if table == "epochs" else f"rowid = ({rows})"
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
            count[table, column] += 1
    told = [found.message.partition("; the first is ")[0] for found in bloxdb.check(path).findings]
    for (table, column), n in count.items():
        if column not in ("flops", "params"):  # they are copies, and told as such
            assert f"{n} rows of {table} have a {column} that there cannot be" in told

"""One rule of what values a measure may have, wherever values come in, and wherever they go out."""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import BloxFormatError, Database, QueryError, ReleaseError, codecs
from bloxdb.codecs import Header
from bloxdb.codecs.columns import BASE
from bloxdb.codecs.values import check_values
from bloxdb.measures import COSTS, EPOCH, LATENCY, MEASURES, RUN, SEEDS, Measure
from bloxdb.runs import EpochResult, Metrics, RunQueue, RunResult
from tests.codecs.strategies import few_rows
from tests.helpers import BAD
from tests.release.helpers import HASH, Given, write
from tests.runs.helpers import RESULT, claim, queue_of

EVERY_BAD = pytest.mark.parametrize(
    ("measure", "value", "problem"),
    BAD,
    ids=[f"{measure.of}-{measure.name}-{value}" for measure, value, _ in BAD],
)
OF_FILES = [(m, v, p) for m, v, p in BAD if m.file and m.scale > 1]
OF_RESULTS = [
    (m, v, p) for m, v, p in BAD if m.name.partition("_")[0] in ("train", "val", "test") and m.scale > 1
]


@pytest.mark.parametrize(("measure", "value", "problem"), OF_FILES)
@pytest.mark.parametrize("extension", ["pickle", "csv"])
def test_readers_of_files_hold_to_it(
    measure: Measure, value: float, problem: str, extension: str, golden: Path
) -> None:
    stem = {"base": "blox-base-3", "ext": "blox-ext-3", "bench": "blox-bench-desktop-cpu"}[measure.file or ""]
    table = few_rows(golden, stem)
    rows = table.rows()
    row = rows[1]
    at = table.header.columns.index(measure.name)
    row[at] = [*row[at][:-1], value] if measure.of == "epoch" else value
    head = codecs.encode(table, extension)[0][0]
    if extension == "pickle":
        data = head + pickle.dumps(rows)
    else:
        head = b"---".join(head.split(b"---")[:2]) + b"---\n"
        lines = [",".join(f'"{v}"' if isinstance(v, list) else str(v) for v in r) for r in rows]
        data = head + "\r\n".join([*lines, ""]).encode()
    with pytest.raises(BloxFormatError, match=f"row 1, column {measure.name}: .*") as info:
        codecs.decode(data)
    assert f"the value {value}" in str(info.value)
    assert problem in str(info.value)


@pytest.mark.parametrize(("measure", "value", "problem"), OF_RESULTS)
def test_training_results_of_the_original_hold_to_it(
    measure: Measure, value: float, problem: str, given: Given, tmp_path: Path
) -> None:
    arguments, results = given
    part, metric = measure.name.split("_")
    history = results[HASH][{"val": "valid"}.get(part, part)]
    history[10][metric] = [value]
    path = write(tmp_path / "results_0_2.pickle", arguments, results)
    found = bloxdb.release.results
    if math.isinf(value):  # what a run that diverges leaves
        assert found.read_results(path).unfit == 1
        return
    with pytest.raises(
        BloxFormatError, match=re.escape(f"{HASH}: {'valid' if part == 'val' else part}")
    ) as info:
        found.read_results(path)
    assert f"the value {value} of '{metric}' {problem}" in str(info.value)


def test_a_percent_that_only_arithmetic_made_more_than_100_is_100(given: Given, tmp_path: Path) -> None:
    arguments, results = given
    results[HASH]["train"][10]["top5"] = [100.00000000000001]
    results[HASH]["train"][9]["top1"] = [-1e-12]
    assert bloxdb.release.results.read_results(
        write(tmp_path / "results_0_2.pickle", arguments, results)
    ).runs


@EVERY_BAD
def test_records_of_runs_hold_to_it(measure: Measure, value: float, problem: str, empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    if measure.of == "epoch":
        with pytest.raises(
            QueryError, match=f"{measure.name} of epoch 1 of architecture 1: the value"
        ) as info:
            record.epoch(EpochResult(1, *_with(measure.name, value, "train", "val")))
    elif measure.of == "run":
        (test,), (val,) = (_with(measure.name, value, part) for part in ("test", "val"))
        seconds = value if measure.name == "train_time_s" else 1.0
        result = RunResult(False, EpochResult(1, RESULT, val), test, seconds)
        with pytest.raises(
            QueryError, match=f"{measure.name} of the result of architecture 1: the value"
        ) as info:
            record.finish(result)
    else:
        return  # no run says it
    assert problem in str(info.value)


def _with(name: str, value: float, *parts: str) -> list[Metrics]:
    """Metrics of parts, of which one measure has a value."""
    of, _, metric = name.partition("_")
    return [
        replace(RESULT, **{metric: value}) if part == of and metric != "time_s" else RESULT for part in parts
    ]


def test_what_a_record_cannot_keep_is_refused(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    with pytest.raises(QueryError, match="has more digits than the database keeps"):
        record.epoch(EpochResult(1, Metrics(1.0, 1.0, 1e300), RESULT))


OF_PARQUET = [(m, v, p) for m, v, p in BAD if v == -1.0 or m is RUN["test_loss"]]


@pytest.mark.parametrize(("measure", "value", "problem"), OF_PARQUET)
def test_parquet_files_hold_to_it(
    measure: Measure, value: float, problem: str, tiny_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    bloxdb.export_parquet(tmp_path, tiny_db)
    path = tmp_path / {"epoch": "epochs.parquet", "device": "latencies.parquet"}.get(
        measure.of, "runs.parquet"
    )
    name = measure.name if measure.of == "epoch" else measure.column
    table = pq.read_table(path)
    values = table[name].to_pylist()
    values[3] = value if measure.scale > 1 else int(value)
    field = table.schema.get_field_index(name)
    pq.write_table(
        table.set_column(field, table.schema.field(field), pa.array(values, table.schema.field(field).type)),
        path,
    )
    with pytest.raises(BloxFormatError, match=re.escape(problem)):
        bloxdb.import_parquet(tmp_path, empty_db)
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]


@pytest.mark.parametrize("change", [
    "UPDATE runs SET test_top1 = 101 WHERE id = 2",
    "UPDATE runs SET test_loss = 9e999 WHERE id = 2",
    "UPDATE runs SET train_time_s = -1 WHERE id = 2",
    "UPDATE epochs SET val_top1_milli = -1 WHERE run_id = 2 AND epoch = 3",
    "UPDATE epochs SET val_loss_micro = -1 WHERE run_id = 2 AND epoch = 3",
    "UPDATE latencies SET latency_ms = -1 WHERE arch_id = (SELECT min(arch_id) FROM latencies)",
])  # fmt: skip
def test_what_got_in_by_sql_is_not_exported(change: str, tiny_db: Database, tmp_path: Path) -> None:
    with tiny_db.transaction() as session:
        session.execute(text(change))
    with pytest.raises(
        BloxFormatError,
        match=r"blox-\S+, architecture \d+, row .*: the value .* is (outside|infinite|negative)",
    ):
        bloxdb.export_release(tmp_path / "out", tiny_db, format="csv")
    assert not (tmp_path / "out").exists()


SEEDS_THERE_ARE = [(0, True), (2**63 - 1, True), (-1, False), (-(2**63), False), (2**63, False)]


@pytest.mark.parametrize(("seed", "fits"), SEEDS_THERE_ARE)
def test_seeds_are_the_same_everywhere(
    seed: int, fits: bool, given: Given, tiny_db: Database, tmp_path: Path
) -> None:
    assert (seed in SEEDS) is fits
    arguments, results = given
    path = write(tmp_path / "results_0_2.pickle", {**arguments, "seed": seed}, results)
    combined = write(tmp_path / "combined.pickle", results)
    bloxdb.export_parquet(tmp_path / "parquet", tiny_db)
    runs = pq.read_table(tmp_path / "parquet" / "runs.parquet")
    recipe = bloxdb.runs.RecipeFacts("other", "cifar100", 10)

    def parquet() -> None:
        at = runs.schema.get_field_index("seed")
        changed = [seed if one == 3 else one for one in runs["seed"].to_pylist()]
        seeds = pa.array(changed, pa.uint64() if seed > 0 else pa.int64())
        pq.write_table(runs.set_column(at, "seed", seeds), tmp_path / "parquet" / "runs.parquet")
        bloxdb.import_parquet(tmp_path / "parquet", tiny_db)

    entries = [
        lambda: Header("training", BASE, seed=seed, epochs=1, dataset="d", part="base"),
        lambda: bloxdb.import_release(path, tiny_db, recipe="one"),
        lambda: bloxdb.import_release(combined, tiny_db, recipe="cifar100-10-two", seed=seed),
        lambda: RunQueue(tiny_db, [1], recipe, seed),
        parquet,
    ]
    for entry in entries:
        if fits:
            entry()
            continue
        with pytest.raises((BloxFormatError, QueryError, ReleaseError), match="seed"):
            entry()


def test_whole_numbers_of_costs_and_times_are_measures_too() -> None:
    for name in (*COSTS, "train_time_s"):
        with pytest.raises(BloxFormatError, match="the value -1 is negative"):
            check_values(name, np.array([0, -1]))
    assert {LATENCY, *EPOCH.values(), *RUN.values(), *COSTS.values()} == set(MEASURES)

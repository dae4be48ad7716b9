"""A number means the same at every entry, of whatever type it is: Python's, NumPy's, pandas', a tensor's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bloxdb
from bloxdb import Database, compat, queries, runs, space
from bloxdb.arguments import as_index
from bloxdb.dataset import DatabaseSource
from bloxdb.db import Images
from bloxdb.runs import (
    EpochResult,
    Intervals,
    Metrics,
    RecipeFacts,
    RunQueue,
    RunResult,
    environment_id,
)
from tests.helpers import parameters_of, public_entries
from tests.runs.helpers import write_epochs

INTEGERS: dict[str, Callable[[int], Any]] = {
    "int": int,
    **{f"np.{kind.__name__}": kind for kind in (np.int8, np.int16, np.int32, np.int64)},
    **{f"np.{kind.__name__}": kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64, np.longlong)},
    "array without dimensions": np.array,
    "of a data frame": lambda value: pd.DataFrame({"x": [value]})["x"].iloc[0],
    "of a nullable column": lambda value: pd.Series([value], dtype="Int64")[0],
    "tensor without dimensions": torch.tensor,
}
NUMBERS: dict[str, Callable[[float], Any]] = {
    "float": float,
    **{f"np.{kind.__name__}": kind for kind in (np.float32, np.float64, np.longdouble)},
    "np.int64": lambda value: np.int64(int(value)),
    "array without dimensions": np.array,
    "of a data frame": lambda value: pd.DataFrame({"x": [value]})["x"].iloc[0],
    "Decimal": Decimal,
    "Fraction": Fraction,
    "tensor without dimensions": lambda value: torch.tensor(value, dtype=torch.float64),
}
NO_INTEGERS: dict[str, Any] = {
    "bool": True,
    "np.bool_": np.True_,
    "bool tensor": torch.tensor(True),
    "float": 2.5,
    "whole float": 2.0,
    "NumPy float": np.float64(2.0),
    "text": "2",
    "array of one": np.array([2]),
    "too large": 2**63,
    "much too large": np.float64(1e300),
}
NO_NUMBERS: dict[str, Any] = {
    "nan": float("nan"),
    "infinity": np.float32("inf"),
    "bool": True,
    "np.bool_": np.False_,
    "text": "1e8",
    "array of one": np.array([1e8]),
    "none": pd.NA,
}

Ask = Callable[[Any, Database, Path], Any]

COMPAT = ("folder for old scripts", "database for old scripts")
OF_EPOCHS = ("val_acc", "train_acc", "val_top5", "train_top5", "val_loss", "train_loss")

OF_SEED: dict[str, Ask] = {
    "top(seeds)": lambda seed, db, _: queries.top(200, db, seeds=seed),
    "pareto(seeds)": lambda seed, db, _: queries.pareto(db=db, seeds=seed),
    "from_database(seeds)": lambda seed, db, _: bloxdb.from_database(db, seeds=seed).seeds,
    "from_folder(seeds)": lambda seed, _, folder: bloxdb.from_folder(folder, seeds=seed).seeds,
    "DatabaseSource(seeds)": lambda seed, db, _: DatabaseSource(db, seeds=seed).seeds,
    "compat.from_database(seeds)": lambda seed, db, _: compat.from_database(db, seeds=seed).seeds,
    "compat.from_folder(seeds)": lambda seed, _, folder: compat.from_folder(folder, seeds=seed).seeds,
    "to_arrow(seeds)": lambda seed, db, _: bloxdb.to_arrow("runs", db, seeds=seed).to_pylist(),
    "to_pandas(seeds)": lambda seed, db, _: bloxdb.to_pandas("leaderboard", db, seeds=seed).to_csv(),
    "to_polars(seeds)": lambda seed, db, _: bloxdb.to_polars("leaderboard", db, seeds=seed).rows(),
    "export_release(seeds)": lambda seed, db, _: exported(bloxdb.export_release, db, seed),
    "export_parquet(seeds)": lambda seed, db, _: exported(bloxdb.export_parquet, db, seed),
    "Problem(seed)": lambda seed, db, _: bloxdb.Problem(db, seed=seed)(HASHES[0]),
    "Problem(seeds)": lambda seed, db, _: bloxdb.Problem(db, seeds=seed)(HASHES[0]),
    "gaps(seed)": lambda seed, db, _: runs.gaps("cifar100-200", seed, db),
    "retry(seeds)": lambda seed, db, _: runs.retry(db=db, seeds=seed).runs,
    **{
        f"{owner}{method}(seed): {kind}": (
            lambda seed, db, folder, method=method, kind=kind: getattr(opened(kind, db, folder), method)(
                HASHES[0], seed=seed
            )
        )
        for owner, kinds in (("Dataset.", ("folder", "database")), ("compat.Dataset.", COMPAT))
        for kind in kinds
        for method in ("train_time", "full_info")
    },
    **{
        f"Runs.{method}(seed): {kind}": (
            lambda seed, db, folder, method=method, kind=kind: getattr(opened(kind, db, folder), method)(
                HASHES[0], seed=seed
            )
        )
        for kind in ("folder", "database", *COMPAT)
        for method in (*OF_EPOCHS, "test_acc", "test_top5", "test_loss")
    },
    **{
        f"Dataset.curve(seed): {kind}": (
            lambda seed, db, folder, kind=kind: (
                opened(kind, db, folder).curve(HASHES[0], "val_loss", seed=seed).tolist()
            )
        )
        for kind in ("folder", "database")
    },
    "Dataset.table(seed): database": lambda seed, db, folder: listed(
        opened("database", db, folder).table(seed=seed)
    ),
    "Dataset.table(seed): folder": lambda seed, db, folder: listed(
        opened("folder", db, folder).table(seed=seed)
    ),
    "compat.EnvInfoDataset.env(seed)": lambda seed, db, folder: compat.from_folder(
        folder, include_env_info=True
    ).env_info.env(HASHES[0], seed),
}
OF_EPOCH: dict[str, Ask] = {
    **{
        f"Runs.{method}(epoch): {kind}, best {best}": (
            lambda epoch, db, folder, method=method, kind=kind, best=best: getattr(
                opened(kind, db, folder), method
            )(HASHES[0], epoch, best, 1)
        )
        for kind in ("folder", "database", *COMPAT)
        for method in OF_EPOCHS
        for best in (True, False)
    },
    **{
        f"{owner}train_time(epoch): {kind}": (
            lambda epoch, db, folder, kind=kind: opened(kind, db, folder).train_time(HASHES[0], epoch, 1)
        )
        for owner, kind in (("Dataset.", "folder"), ("Dataset.", "database"), ("compat.Dataset.", COMPAT[0]))
    },
    "Dataset.table(epoch): database": lambda epoch, db, folder: listed(
        opened("database", db, folder).table(epoch=epoch, seed=1)
    ),
    "Dataset.table(epoch): folder": lambda epoch, db, folder: listed(
        opened("folder", db, folder).table(epoch=epoch, seed=1)
    ),
    "to_arrow(epochs)": lambda epoch, db, _: bloxdb.to_arrow("epochs", db, epochs=epoch).to_pydict(),
    "to_pandas(epochs)": lambda epoch, db, _: bloxdb.to_pandas("epochs", db, epochs=epoch).to_csv(),
    "to_polars(epochs)": lambda epoch, db, _: bloxdb.to_polars("epochs", db, epochs=epoch).rows(),
    "Problem(epoch)": lambda epoch, db, _: bloxdb.Problem(db, epoch=epoch)(HASHES[0]),
    "Problem.__call__(epoch)": lambda epoch, db, _: bloxdb.Problem(db)(HASHES[0], epoch),
    "Problem.cost(epoch)": lambda epoch, db, _: bloxdb.Problem(db).cost(HASHES[0], epoch),
    "EpochResult(epoch)": lambda epoch, db, _: trained(db, epoch=epoch),
}
OF_COUNT: dict[str, Ask] = {
    "top(n)": lambda count, db, _: queries.top(count, db),
    "sample(n)": lambda count, *_: space.sample(count, 7),
    "arch_vec(index)": lambda index, *_: space.arch_vec(index),
    "arch_cost(index)": lambda index, *_: space.arch_cost(index),
    "blocks_of(index)": lambda index, *_: space.blocks_of(index),
    "RecipeFacts(epochs)": lambda count, *_: RecipeFacts("x", "digits", count),
    **{
        f"Images({name})": lambda count, *_, at=at: RecipeFacts("x", "digits", 1, images(count, at))
        for at, name in enumerate(Images._fields)
    },
    "RunQueue(seed)": lambda seed, db, _: trained(db, seed=seed),
    "RunQueue.claim(env_id)": lambda env_id, db, _: trained(db, env_id=env_id),
    "RunResult(device_workers)": lambda count, db, _: trained(db, device_workers=count),
    "RunRecord.begin(env_id)": lambda env_id, db, _: trained(db, env_id=env_id, at_begin=True),
    "RunRecord.begin(done)": lambda done, db, _: trained(db, done=done),
    "import_release(seed)": lambda seed, db, folder: imported(db, folder, seed),
}
OF_LIMIT: dict[str, Ask] = {
    "top(max_flops)": lambda limit, db, _: queries.top(200, db, max_flops=limit),
    "top(max_params)": lambda limit, db, _: queries.top(200, db, max_params=limit),
    "top(max_latency)": lambda limit, db, _: queries.top(200, db, max_latency=("jetson-nano", limit)),
    "Problem(budget_seconds)": lambda limit, db, _: bloxdb.Problem(db, budget_seconds=limit).budget_seconds,
    "RunQueue(patience)": lambda limit, *_: patience_of(limit),
    "Intervals(every)": lambda limit, *_: Intervals(every=limit, dead_after=1e6),
    "Intervals(dead_after)": lambda limit, *_: Intervals(every=1e-6, dead_after=limit),
    "Metrics(top1)": lambda value, db, _: trained(db, metrics=Metrics(value, 90.0, 1.5)),
    "Metrics(top5)": lambda value, db, _: trained(db, metrics=Metrics(50.0, value, 1.5)),
    "Metrics(loss)": lambda value, db, _: trained(db, metrics=Metrics(50.0, 90.0, value)),
    "RunResult(train_time)": lambda value, db, _: trained(db, train_time=value),
}
VALUES = {"top(max_flops)": 2.0**27, "top(max_params)": 2.0**21, "top(max_latency)": 9.0}
"""Where limits leave some; 1 elsewhere."""

LEFT_OUT = {
    r"(Epoch|Run)Result\(more\)": "of a measure that somebody adds: tests/test_adding_a_measure.py",
    r".*\(wait\)": "tests/db/test_waiting.py, where somebody has the lock",
    r"\w+Report\(": "reports are made by bloxdb",
    r"(Source|FolderSource|DatabaseSource)\.": "a source is asked by data sets, which check what they are given",
    r"FolderSource\(": "from_folder makes it of what it has read",
    r"compat\.\w+\.rows\(": "compat asks it with indices of its own",
    r"BloxFormatError\(": "its numbers are shown",
    r"Progress\.": "bloxdb calls it",
    r"Database\.snapshots\(": "a number of threads, which does not reach a database",
    r"Header\(": "tests/codecs/test_header.py",
    r"RunRecord\(": "RunQueue.claim makes it of what the database has",
    r"(BlockKind|Cost|Cost\.times|Graph|block_of_stage|vec_text)\(": "computes, and asks nothing",
    r"(Run\.)?load_network\(": "tests/trainer/test_weights.py, with the weights that it needs",
    r"(agreement|blocks|costs|curves|spread)\(": "tests/plot/test_arguments.py, with a database to draw",
    r"Drawing\.save\(": "tests/draw/test_output.py",
    r"(DataSet|Job|Network|Training|TrainingRecipe|default_recipe)\(": "tests/trainer, where they are checked",
}
"""Public numbers that need no test here, and why."""

ENTRIES = {**OF_SEED, **OF_EPOCH, **OF_COUNT, **OF_LIMIT}
HASHES: list[str] = []
EMPTY: list[Path] = []


@cache
def opened(kind: str, db: Database, folder: Path) -> Any:
    package: Any = compat if "old scripts" in kind else bloxdb
    if kind.startswith("folder"):
        return package.from_folder(folder, extended=True, include_static_info=True)
    return package.from_database(db)


@cache
def right(entry: str, value: Any, db: Database, folder: Path) -> Any:
    """The answer for Python's own number."""
    return ENTRIES[entry](value, db, folder)


def exported(export: Callable[..., Any], db: Database, seed: Any) -> list[tuple[str, int]]:
    with TemporaryDirectory() as place:
        found = export(place, db, seeds=seed).files
        return sorted((path.name, path.stat().st_size) for path in found)


def images(count: Any, at: int) -> Images:
    return Images(*(count if place == at else 9 for place in range(3)))


@contextmanager
def empty() -> Iterator[Database]:
    """A new database of one's own."""
    with TemporaryDirectory() as place:
        path = shutil.copy(EMPTY[0], Path(place) / "new.db")
        with bloxdb.open(path, current=False) as db:
            yield db


def imported(db: Database, folder: Path, seed: Any) -> list[dict[str, Any]]:
    """The seeds of runs after an import of results that say none."""
    path = folder.parent / "raw-results" / "combined.pickle"
    with empty() as new:
        bloxdb.import_release(path, new, recipe="cifar100-200", seed=seed)
        return new.rows("SELECT DISTINCT seed FROM runs")


def trained(
    db: Database,
    *,
    seed: Any = 1,
    epoch: Any = 1,
    done: Any = 0,
    env_id: Any = None,
    at_begin: bool = False,
    metrics: Metrics | None = None,
    train_time: Any = 1.0,
    device_workers: Any = 1,
) -> list[Any]:
    """What the database has of a run that was trained; its best epoch is the one that is given."""
    measured = metrics or Metrics(50.0, 90.0, 1.5)
    with empty() as new:
        for number in range(5 if env_id is not None else 0):
            environment_id({"gpu": f"{number}"}, new)
        queue = RunQueue(new, [7], RecipeFacts("mine-99", "digits", 99), seed)
        queue.fill()
        record = queue.claim(worker="elsewhere:1", env_id=None if at_begin else env_id)
        assert record is not None
        begun = record.begin(done, env_id=env_id if at_begin else None)
        result = EpochResult(epoch, measured, measured)
        write_epochs(record, min(as_index(epoch) or 1, 99) - 1, is_measured=False)
        record.epoch(result)
        write_epochs(record, 99, is_measured=False)
        record.finish(RunResult(False, result, measured, train_time, device_workers=device_workers))
        whole = "SELECT seed, env_id, best_epoch, val_top1, test_top1, test_top5, test_loss, train_time_s, device_workers"
        return [begun, new.rows(f"{whole} FROM runs"), new.rows("SELECT * FROM epochs")]


def patience_of(seconds: Any) -> float:
    with empty() as new:
        return RunQueue(new, [7], RecipeFacts("mine-99", "digits", 99), 1, patience=seconds).patience


def listed(table: dict[str, Any]) -> dict[str, Any]:
    return {name: repr(column.tolist()) for name, column in table.items()}


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "release-small"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, folder: Path, empty_file: Path) -> Iterator[Database]:
    EMPTY[:] = [empty_file]
    with bloxdb.create(tmp_path_factory.mktemp("numbers") / "numbers.db") as made:
        bloxdb.import_release(folder, made)
        HASHES[:] = [row["hash"] for row in queries.top(3, made, seeds=1)]
        yield made


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("entry", OF_SEED)
def test_a_seed_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    assert OF_SEED[entry](INTEGERS[kind](1), db, folder) == right(entry, 1, db, folder)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("entry", OF_EPOCH)
def test_an_epoch_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    answer = OF_EPOCH[entry](INTEGERS[kind](3), db, folder)
    assert answer == right(entry, 3, db, folder)
    assert answer != right(entry, 90, db, folder)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("entry", OF_COUNT)
def test_a_count_or_an_index_is_the_same_of_every_type(
    entry: str, kind: str, db: Database, folder: Path
) -> None:
    answer = OF_COUNT[entry](INTEGERS[kind](3), db, folder)
    assert answer == right(entry, 3, db, folder)
    assert answer != right(
        entry, 0 if "done" in entry else 2, db, folder
    )  # of 2 epochs there is none, as of 3


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("entry", OF_LIMIT)
def test_a_limit_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    value = VALUES.get(entry, 1.0)
    answer = OF_LIMIT[entry](NUMBERS[kind](value), db, folder)
    assert answer == right(entry, value, db, folder)
    assert answer != right(entry, value * 64, db, folder)


@pytest.mark.parametrize("kind", NO_INTEGERS)
@pytest.mark.parametrize("entry", [*OF_SEED, *OF_EPOCH, *OF_COUNT])
def test_what_is_no_integer_is_refused(entry: str, kind: str, db: Database, folder: Path) -> None:
    ask = ENTRIES[entry]
    wrong = NO_INTEGERS[kind]
    if kind == "array of one":
        several = "table(epoch)" in entry or "(epochs)" in entry  # an array of epochs is several of them
        wrong = np.array([[2]]) if several and entry in OF_EPOCH else [wrong] if entry in OF_SEED else wrong
    told = (
        r"an epoch is|a seed is|seed .* is not|there is no run|an architecture index|the (number|id) of .* is"
    )
    with pytest.raises((bloxdb.QueryError, bloxdb.InvalidArchError), match=told):
        ask(wrong, db, folder)


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("entry", OF_LIMIT)
def test_what_is_no_limit_is_refused(entry: str, kind: str, db: Database, folder: Path) -> None:
    measured = not entry.startswith(("top", "Problem", "Intervals", "RunQueue"))
    if measured and kind == "nan" and entry != "RunResult(train_time)":
        assert OF_LIMIT[entry](NO_NUMBERS[kind], db, folder)  # which was not measured
        return
    told = r" is a (finite )?number(, not | of at most )| is infinite| is inf; percent are|train_time_s is nan, which"
    with pytest.raises(bloxdb.QueryError, match=told):
        OF_LIMIT[entry](NO_NUMBERS[kind], db, folder)


def test_every_public_number_is_tested_here() -> None:
    """Whatever is public and takes a number, found by its signature, is asked above or left out for a reason."""
    tested = {entry.partition(":")[0] for entry in (*OF_SEED, *OF_EPOCH, *OF_COUNT, *OF_LIMIT)}
    found = {
        f"{name}({parameter.name})"
        for name, entry in public_entries()
        for parameter in parameters_of(entry).values()
        if re.search(r"\b(int|float|Seeds)\b", str(parameter.annotation))
    }
    missing = {name for name in found - tested if not any(re.match(rule, name) for rule in LEFT_OUT)}
    assert not missing, (
        f"{', '.join(sorted(missing))}: public, takes a number, and not tested with the numbers of NumPy, pandas "
        "and torch; add it to OF_SEED, OF_EPOCH, OF_COUNT or OF_LIMIT"
    )
    assert tested <= found, (
        f"{', '.join(sorted(tested - found))}: tested here, but nothing public is called so"
    )
    for rule in LEFT_OUT:
        assert any(re.match(rule, name) for name in found - tested), f"{rule} leaves nothing out"


@pytest.mark.parametrize("kind", [*INTEGERS, "np.float16", "np.float32", "np.float64"])
def test_values_of_a_query_are_the_same_of_every_type(kind: str, db: Database) -> None:
    value = getattr(np, kind[3:])(3) if "float" in kind else INTEGERS[kind](3)
    sql = "SELECT id, :value < 4 AS below FROM archs WHERE id = :value"
    assert db.rows(sql, value=value) == [{"id": 3, "below": 1}]


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint64, np.float16, np.float32, np.float64, np.bool_])
def test_a_driver_that_is_asked_directly_knows_numpy(kind: Any, db: Database) -> None:
    driver = db.reader.connection().connection.driver_connection
    assert driver.execute("SELECT ?, typeof(?)", (kind(1), kind(1))).fetchone()[0] == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [np.arange(3), torch.ones(2), pd.Series([1])])
def test_an_array_is_no_value_of_a_query(value: Any, db: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match=r"not an array of shape \(\d"):
        db.rows("SELECT :value AS value", value=value)


@pytest.mark.parametrize("value", [object(), [1], 2**70, {"a": 1}])
def test_a_value_that_no_database_holds_is_told(value: Any, db: Database) -> None:
    with pytest.raises(bloxdb.DatabaseError, match=r"numbers\.db: "):
        db.rows("SELECT :value AS value", value=value)


def test_a_run_of_a_numpy_seed_is_found_by_a_plain_one(empty_db: Database) -> None:
    RunQueue(empty_db, np.arange(2), RecipeFacts("one-1", "cifar100", 1), np.uint8(7)).fill()
    assert empty_db.rows("SELECT arch_id, seed FROM runs ORDER BY arch_id") == [
        {"arch_id": 0, "seed": 7},
        {"arch_id": 1, "seed": 7},
    ]
    assert json.dumps(runs.overview(empty_db))

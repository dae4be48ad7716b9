"""A number means the same at every entry, of whatever type it is: Python's, NumPy's, pandas', a tensor's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bloxdb
from bloxdb import Database, queries, runs
from bloxdb.runs import RecipeFacts, RunQueue

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

OF_SEED: dict[str, Ask] = {
    "top": lambda seed, db, _: queries.top(200, db, seeds=seed),
    "pareto": lambda seed, db, _: queries.pareto(db=db, seeds=seed),
    "from_database": lambda seed, db, _: bloxdb.from_database(db, seeds=seed).seeds,
    "from_folder": lambda seed, _, folder: bloxdb.from_folder(folder, seeds=seed).seeds,
    "to_arrow": lambda seed, db, _: bloxdb.to_arrow("runs", db, seeds=seed).to_pylist(),
    "Problem": lambda seed, db, _: bloxdb.Problem(db, seed=seed)(HASHES[0]),
    "gaps": lambda seed, db, _: runs.gaps("cifar100-200", seed, db),
    "retry": lambda seed, db, _: runs.retry(db=db, seeds=seed).runs,
    **{
        f"{method} of a {kind}": (
            lambda seed, db, folder, method=method, kind=kind: getattr(opened(kind, db, folder), method)(
                HASHES[0], seed=seed
            )
        )
        for kind in ("folder", "database")
        for method in ("val_acc", "test_acc", "train_time", "full_info")
    },
    "table of a database": lambda seed, db, folder: listed(opened("database", db, folder).table(seed=seed)),
    "table of a folder": lambda seed, db, folder: listed(opened("folder", db, folder).table(seed=seed)),
}
OF_EPOCH: dict[str, Ask] = {
    **{
        f"{method} of a {kind}, best {best}": (
            lambda epoch, db, folder, method=method, kind=kind, best=best: getattr(
                opened(kind, db, folder), method
            )(HASHES[0], epoch, best, 1)
        )
        for kind in ("folder", "database")
        for method in ("val_acc", "train_acc", "val_loss")
        for best in (True, False)
    },
    "train_time": lambda epoch, db, folder: opened("folder", db, folder).train_time(HASHES[0], epoch, 1),
    "table of a database": lambda epoch, db, folder: listed(
        opened("database", db, folder).table(epoch=epoch, seed=1)
    ),
    "table of a folder": lambda epoch, db, folder: listed(
        opened("folder", db, folder).table(epoch=epoch, seed=1)
    ),
    "Problem": lambda epoch, db, _: bloxdb.Problem(db, epoch=epoch)(HASHES[0]),
    "Problem, a call": lambda epoch, db, _: bloxdb.Problem(db)(HASHES[0], epoch),
    "Problem.cost": lambda epoch, db, _: bloxdb.Problem(db).cost(HASHES[0], epoch),
}
OF_LIMIT: dict[str, Ask] = {
    "max_flops": lambda limit, db, _: queries.top(200, db, max_flops=limit),
    "max_params": lambda limit, db, _: queries.top(200, db, max_params=limit),
    "max_latency": lambda limit, db, _: queries.top(200, db, max_latency=("jetson-nano", limit)),
    "budget_seconds": lambda limit, db, _: bloxdb.Problem(db, budget_seconds=limit).budget_seconds,
}
VALUES = {"max_flops": 2.0**27, "max_params": 2.0**21, "max_latency": 9.0, "budget_seconds": 2.0**12}

HASHES: list[str] = []


def opened(kind: str, db: Database, folder: Path) -> bloxdb.Dataset:
    if kind == "folder":
        return bloxdb.from_folder(folder, extended=True, include_static_info=True)
    return bloxdb.from_database(db)


def listed(table: dict[str, Any]) -> dict[str, Any]:
    return {name: repr(column.tolist()) for name, column in table.items()}


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "release-small"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Database]:
    with bloxdb.create(tmp_path_factory.mktemp("numbers") / "numbers.db") as made:
        bloxdb.import_release(folder, made)
        HASHES[:] = [row["hash"] for row in queries.top(3, made, seeds=1)]
        yield made


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("entry", OF_SEED)
def test_a_seed_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    assert OF_SEED[entry](INTEGERS[kind](1), db, folder) == OF_SEED[entry](1, db, folder)


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("entry", OF_EPOCH)
def test_an_epoch_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    answer = OF_EPOCH[entry](INTEGERS[kind](3), db, folder)
    assert answer == OF_EPOCH[entry](3, db, folder)
    assert answer != OF_EPOCH[entry](90, db, folder)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("entry", OF_LIMIT)
def test_a_limit_is_the_same_of_every_type(entry: str, kind: str, db: Database, folder: Path) -> None:
    answer = OF_LIMIT[entry](NUMBERS[kind](VALUES[entry]), db, folder)
    assert answer == OF_LIMIT[entry](VALUES[entry], db, folder)
    assert answer != OF_LIMIT[entry](VALUES[entry] * 64, db, folder)


@pytest.mark.parametrize("kind", INTEGERS)
def test_a_number_of_results_is_the_same_of_every_type(kind: str, db: Database) -> None:
    assert len(queries.top(INTEGERS[kind](3), db)) == 3


@pytest.mark.parametrize("kind", NO_INTEGERS)
@pytest.mark.parametrize("entry", [*OF_SEED, *(f"{name}: epoch" for name in OF_EPOCH)])
def test_what_is_no_integer_is_refused(entry: str, kind: str, db: Database, folder: Path) -> None:
    ask = OF_EPOCH[entry.removesuffix(": epoch")] if entry.endswith(": epoch") else OF_SEED[entry]
    wrong = [NO_INTEGERS[kind]] if kind == "array of one" and "epoch" not in entry else NO_INTEGERS[kind]
    if kind == "array of one" and entry.startswith("table") and "epoch" in entry:
        wrong = np.array([[2]])  # an array of epochs is several of them
    with pytest.raises(bloxdb.QueryError, match=r"an epoch is|a seed is|seed .* is not|there is no run"):
        ask(wrong, db, folder)


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("entry", OF_LIMIT)
def test_what_is_no_limit_is_refused(entry: str, kind: str, db: Database, folder: Path) -> None:
    with pytest.raises(bloxdb.QueryError, match=f"{entry}.* is a (finite )?number, not "):
        OF_LIMIT[entry](NO_NUMBERS[kind], db, folder)


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

"""Which runs of a database a data set has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bloxdb
from bloxdb import Database
from bloxdb.space import NUM_ARCHS
from tests.helpers import SEEDS


def test_a_database_with_several_recipes_needs_the_name(small_db: Database) -> None:
    with pytest.raises(ValueError, match="there is no recipe 'x'; choose one of: cifar100-200"):
        bloxdb.from_database(small_db, recipe="x")
    with pytest.raises(ValueError, match="no run of recipe cifar100-200 with seed 9; choose of: 0, 1"):
        bloxdb.from_database(small_db, seeds=[9])
    assert bloxdb.from_database(small_db, recipe="cifar100-200", seeds=1).seeds == [1]


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_of_a_database_can_be_written_in_many_ways(
    small_db: Database, spelling: Callable[[int], Any]
) -> None:
    data = bloxdb.from_database(small_db, seeds=spelling(1))
    assert (data.seeds, len(data)) == ([1], 60)
    key = next(iter(data))
    assert data.test_acc(key) == bloxdb.from_database(small_db).test_acc(key, seed=1)


@pytest.mark.parametrize("how", [{}, {"best": True}, {"seed": "mean"}], ids=str)
def test_a_few_architectures_are_looked_up_and_many_are_read(small_db: Database, how: dict[str, Any]) -> None:
    data = bloxdb.from_database(small_db)
    columns = [*data.columns[1:], "flops", "params", *(f"latency:{device}" for device in data.devices)]
    asked = {"seed": 1, "epoch": [3, 200], **how}
    everything = data.table(np.arange(NUM_ARCHS), columns, **asked)
    few = np.array([*data._source.arch_ids().tolist(), 0, 91_124, 0])
    statements: list[str] = []
    driver: Any = small_db.reader.connection().connection.driver_connection
    driver.set_trace_callback(statements.append)
    try:
        found = data.table(few, columns, **asked)
    finally:
        driver.set_trace_callback(None)
    for name in columns:
        np.testing.assert_array_equal(found[name], everything[name][few])
    assert statements
    assert all("arch_id IN (" in statement for statement in statements)
    assert data.table([], columns, **asked)["val_top1"].shape == (0, 2)

"""Which runs of a database a data set has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import bloxdb
from bloxdb import Database
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

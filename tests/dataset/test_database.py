"""Which runs of a database a data set has."""

from __future__ import annotations

import pytest

import bloxdb
from bloxdb import Database


def test_a_database_with_several_recipes_needs_the_name(small_db: Database) -> None:
    with pytest.raises(ValueError, match="there is no recipe 'x'; choose one of: cifar100-200"):
        bloxdb.from_database(small_db, recipe="x")
    with pytest.raises(ValueError, match="no run of recipe cifar100-200 with seed 9; choose of: 0, 1"):
        bloxdb.from_database(small_db, seeds=[9])
    assert bloxdb.from_database(small_db, recipe="cifar100-200", seeds=1).seeds == [1]

"""Which architectures the options of `train` and `bench` choose."""

from __future__ import annotations

from typing import Any

import click
import pytest

import bloxdb
from bloxdb import Database, space
from bloxdb.cli.archs import chosen_archs, taken

NOTHING: dict[str, Any] = {"keys": (), "bounds": None, "count": None, "sql": None, "missing": False}


def choose(db: Database, seed: int = 0, done: tuple[int, ...] = (), **options: Any) -> list[int]:
    return chosen_archs(db, {**NOTHING, **options}, seed, lambda: done)


def test_architectures_are_named_by_any_key_a_range_and_a_query_each_once(empty_db: Database) -> None:
    keys = ("9", space.model_hash(7), space.vec_text(space.arch_vec(405)), "7")
    assert choose(empty_db, keys=keys) == [9, 7, 405]
    assert choose(empty_db, bounds=(3, 6)) == [3, 4, 5]
    assert choose(empty_db, sql="SELECT id, hash FROM archs WHERE id < 2 ORDER BY id DESC") == [1, 0]
    assert choose(empty_db, keys=("4",), bounds=(3, 6), sql="SELECT 5 AS id UNION ALL SELECT 91124") == [
        4,
        3,
        5,
        91_124,
    ]


def test_what_is_done_is_passed_over_and_all_are_meant_where_none_is_named(empty_db: Database) -> None:
    assert choose(empty_db, done=(4,), bounds=(3, 6)) == [3, 4, 5]
    assert choose(empty_db, done=(4,), bounds=(3, 6), missing=True) == [3, 5]
    assert choose(empty_db, done=(3, 4, 5), bounds=(3, 6), missing=True) == []
    everything = choose(empty_db, done=(0, 91_124), missing=True)
    assert everything == list(range(1, 91_124))


def test_a_draw_is_of_what_is_named_and_the_same_for_the_same_seed(empty_db: Database) -> None:
    drawn = choose(empty_db, count=5)
    assert len(set(drawn)) == 5
    assert choose(empty_db, count=5) == drawn != choose(empty_db, seed=1, count=5)
    assert set(choose(empty_db, bounds=(3, 9), done=(4,), missing=True, count=4)) <= {3, 5, 6, 7, 8}
    assert sorted(choose(empty_db, bounds=(3, 6), count=99)) == [3, 4, 5]


@pytest.mark.parametrize(
    "options", [{"bounds": (6, 6)}, {"bounds": (6, 3)}, {"sql": "SELECT id FROM archs WHERE 0"}]
)
def test_a_choice_of_nothing_is_not_one_of_all(empty_db: Database, options: dict[str, Any]) -> None:
    with pytest.raises(bloxdb.QueryError, match="--range or --sql names no architecture"):
        choose(empty_db, **options)


@pytest.mark.parametrize(
    "sql", ["SELECT -1", "SELECT 91125", "SELECT NULL", "SELECT 1.0", "SELECT hash FROM archs"]
)
def test_a_query_that_gives_no_indices_is_refused(empty_db: Database, sql: str) -> None:
    with pytest.raises(
        bloxdb.QueryError, match="--sql must give architecture indices in its first column, not"
    ):
        choose(empty_db, sql=sql)


def test_architectures_must_be_named_somehow() -> None:
    with pytest.raises(click.UsageError, match="say which: --arch, --range, --random, --sql or --missing"):
        taken({**NOTHING, "epochs": 3})
    options = {**NOTHING, "missing": True, "epochs": 3}
    assert taken(options) == {**NOTHING, "missing": True}
    assert options == {"epochs": 3}

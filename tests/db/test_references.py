"""What runs refer to: found, or added once; and named in one way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

import bloxdb
from bloxdb import Database, QueryError, Recipe, ReleaseError, Run
from bloxdb.db import Images, RecipeFacts, references
from bloxdb.runs import RunQueue

FACTS = RecipeFacts("r", "digits", 3, config={"lr": 1}, digest="d1")


def with_seeds(db: Database) -> None:
    """Two recipes: r with finished runs of seeds 1 and 5 and a failed one of 7, s with a finished one of 2."""
    with db.transaction() as session:
        for key, name in ((1, "r"), (2, "s")):
            session.add(Recipe(id=key, name=name, dataset="d", epochs=1))
        session.flush()
        for recipe, seed, status in (
            (1, 5, "finished"),
            (1, 1, "finished"),
            (1, 7, "failed"),
            (2, 2, "finished"),
        ):
            session.add(Run(arch_id=0, recipe_id=recipe, seed=seed, status=status))


def test_a_recipe_is_added_once_and_learns_what_it_did_not_know(empty_db: Database) -> None:
    with empty_db.transaction() as session:
        first = references.recipe_for(session, RecipeFacts("r", "digits", 3), "go").id
    with empty_db.transaction() as session:
        second = references.recipe_for(session, FACTS, "go").id
        references.recipe_for(session, RecipeFacts("r", "digits", 3), "go")
    assert first == second
    (row,) = empty_db.rows_of(select(Recipe.train_images, Recipe.digest, Recipe.config))
    assert row == {"train_images": 1257, "digest": "d1", "config": {"lr": 1}}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (RecipeFacts("r", "cifar10", 3), "dataset digits there, cifar10 here"),
        (RecipeFacts("r", "digits", 4), "epochs 3 there, 4 here"),
        (RecipeFacts("r", "digits", 3, Images(1, 2, 3)), "images 1257, 180, 360 there, 1, 2, 3 here"),
        (RecipeFacts("r", "digits", 3, digest="d2"), "digest d1 there, d2 here"),
        (RecipeFacts("r", "digits", 3, config={"lr": 2}, digest="d2"), "lr 1 there, 2 here"),
        (
            RecipeFacts("r", "digits", 3, config={"lr": 1, "shear": "centre"}, digest="d2"),
            "shear left out there, centre here",
        ),
    ],
)
def test_another_recipe_of_the_name_is_refused(empty_db: Database, other: RecipeFacts, message: str) -> None:
    with empty_db.transaction() as session:
        references.recipe_for(session, FACTS, "go")
    expected = rf"another recipe named r already \({message}\); rename it"
    with pytest.raises(ReleaseError, match=expected), empty_db.transaction() as session:
        references.recipe_for(session, other, "rename it")


@pytest.mark.parametrize("digests", [(None, None), ("d1", None), (None, "d1"), ("d1", "d2")])
def test_two_settings_of_one_name_are_refused_with_digests_or_without(
    empty_db: Database, digests: tuple[str | None, str | None]
) -> None:
    ours, theirs = (
        RecipeFacts("r", "digits", 3, config={"lr": at}, digest=digest) for at, digest in enumerate(digests)
    )
    RunQueue(empty_db, [0], ours, 0)
    with pytest.raises(
        ReleaseError, match=r"another recipe named r already \(lr 0 there, 1 here\); train into"
    ):
        RunQueue(empty_db, [0], theirs, 0)
    assert empty_db.rows_of(select(Recipe.config, Recipe.digest)) == [
        {"config": {"lr": 0}, "digest": digests[0]}
    ]


@pytest.mark.parametrize(
    "later", [{}, {"digest": "d1"}, {"config": {"lr": 1}}, {"config": {"lr": 1}, "digest": "d1"}]
)
def test_settings_without_a_digest_are_not_forgotten(empty_db: Database, later: dict[str, Any]) -> None:
    with empty_db.transaction() as session:
        references.recipe_for(session, RecipeFacts("r", "digits", 3, config={"lr": 1}), "go")
    with empty_db.transaction() as session:
        references.recipe_for(session, RecipeFacts("r", "digits", 3, **later), "go")
    (row,) = empty_db.rows_of(select(Recipe.config, Recipe.digest))
    assert row == {"config": {"lr": 1}, "digest": later.get("digest")}


def test_a_recipe_of_the_same_settings_keeps_the_name_that_it_came_in_under(empty_db: Database) -> None:
    with empty_db.transaction() as session:
        first = references.recipe_for(session, FACTS, "go").id
        assert references.recipe_for(session, replace(FACTS, name="r-later"), "go").id == first
        assert references.recipe_for(session, RecipeFacts("unknown", "digits", 3), "go").id != first
    assert empty_db.rows("SELECT name FROM recipes ORDER BY id") == [{"name": "r"}, {"name": "unknown"}]


def test_a_recipe_is_found_by_name_or_because_it_is_alone(empty_db: Database) -> None:
    with pytest.raises(QueryError, match="holds no runs yet"):
        references.find_recipe(empty_db, "r")
    with empty_db.transaction() as session:
        references.recipe_for(session, FACTS, "go")
    assert references.find_recipe(empty_db, None).name == "r"
    with empty_db.transaction() as session:
        references.recipe_for(session, RecipeFacts("q", "digits", 1), "go")
    assert references.find_recipe(empty_db, "q").name == "q"
    with pytest.raises(QueryError, match="several recipes, name one of: q, r"):
        references.find_recipe(empty_db, None)
    with pytest.raises(QueryError, match="no recipe 'x'; choose one of: q, r"):
        references.find_recipe(empty_db, "x")


def test_seeds_are_one_several_or_all(empty_db: Database) -> None:
    with_seeds(empty_db)
    session, r = empty_db.reader, references.find_recipe(empty_db, "r")
    assert references.find_seeds(session, None, r) == [1, 5]
    assert references.find_seeds(session, None, None) == [1, 2, 5]
    assert references.find_seeds(session, 5, r) == [5]
    assert references.find_seeds(session, [5, 1, 5], r) == [5, 1]
    several = references.find_seeds(session, np.array([1, 5]), r)
    assert (several, [type(seed) for seed in several]) == ([1, 5], [int, int])
    assert references.find_seeds(session, np.int64(1), r) == [1]
    assert references.find_seeds(session, 7, r, statuses=("failed",)) == [7]


def test_seeds_that_nobody_has_are_named_with_the_choices(empty_db: Database) -> None:
    with_seeds(empty_db)
    session, r = empty_db.reader, references.find_recipe(empty_db, "r")
    for seeds in (7, [1, 7], np.int64(7)):
        with pytest.raises(QueryError, match="no run of recipe r with seed 7; choose of: 1, 5"):
            references.find_seeds(session, seeds, r)
    with pytest.raises(QueryError, match="no run with seed 9; choose of: 1, 2, 5"):
        references.find_seeds(session, 9, None)
    with pytest.raises(QueryError, match="no runs of recipe r yet, and so none with seed 9"):
        references.find_seeds(session, 9, r, statuses=("pending",))


def test_environments_and_devices_are_added_once(empty_db: Database) -> None:
    one = references.environment_id({"gpu": "a"}, empty_db)
    assert references.environment_id({"gpu": "a", "cuda": ""}, empty_db) == one
    assert references.environment_id({"gpu": "b"}, empty_db) != one
    assert empty_db.rows("SELECT gpu, cuda FROM envs ORDER BY id") == [
        {"gpu": "a", "cuda": ""},
        {"gpu": "b", "cuda": ""},
    ]
    with pytest.raises(QueryError, match="no device 'x'; the database has no latencies"):
        references.find_device(empty_db, "x")
    with empty_db.transaction() as session:
        x = references.device_id(session, "x")
        assert references.device_id(session, "x") == x
        references.device_id(session, "w")
    assert references.find_device(empty_db, "x") == x
    with pytest.raises(QueryError, match="no device 'y'; choose one of: w, x"):
        references.find_device(empty_db, "y")


@pytest.mark.parametrize(
    "seeds", [True, 2.5, "0", b"12", [0, 1.0], [None], np.float64(1), np.array([0.5])], ids=repr
)
def test_seeds_that_are_no_integers_are_refused_with_a_sentence(seeds: object) -> None:
    with pytest.raises(QueryError, match="a seed is an integer, not "):
        references.listed_seeds(seeds)  # type: ignore[arg-type]


@pytest.mark.parametrize("none", [[], (), set(), np.array([], dtype=np.int64)], ids=repr)
def test_seeds_without_a_seed_are_refused_by_every_entry(
    none: object, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    entries = [
        lambda: bloxdb.top(3, tiny_db, seeds=none),
        lambda: bloxdb.pareto("flops", "test_top1", tiny_db, seeds=none),
        lambda: bloxdb.to_arrow("runs", tiny_db, seeds=none),
        lambda: bloxdb.to_pandas("leaderboard", tiny_db, seeds=none),
        lambda: bloxdb.from_database(tiny_db, seeds=none),
        lambda: bloxdb.from_folder(golden / "release-tiny", seeds=none),
        lambda: bloxdb.Problem(tiny_db, seeds=none),
        lambda: bloxdb.runs.retry(db=tiny_db, seeds=none),
        lambda: bloxdb.export_release(tmp_path / "release", tiny_db, seeds=none),
        lambda: bloxdb.export_parquet(tmp_path / "parquet", tiny_db, seeds=none),
    ]
    for entry in entries:
        with pytest.raises(QueryError, match="seeds names no seed; give one, several, or None for all"):
            entry()
    assert not list(tmp_path.glob("release*")) + list(tmp_path.glob("parquet*"))


@pytest.mark.parametrize("order", [(False, True), (True, False), (False, False), (True, True)])
def test_that_first_epochs_are_the_best_is_learned_and_not_forgotten(
    order: tuple[bool, bool], empty_db: Database
) -> None:
    with empty_db.transaction() as session:
        for is_best in order:
            facts = RecipeFacts("r", "digits", 3, first_epoch_is_best=is_best)
            found = references.recipe_for(session, facts, "name another")
        assert found.first_epoch_is_best is any(order)

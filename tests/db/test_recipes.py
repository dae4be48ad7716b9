"""What is known of a recipe, before a database has it and after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bloxdb.trainer.data import LOADERS, load_digits

from bloxdb import Database, QueryError, Recipe
from bloxdb.db import DATASETS, Images, RecipeFacts
from bloxdb.db.recipes import RELEASED, differing, new_name

WHOLE = RecipeFacts(
    "r", "digits", 3, Images(10, 2, 3), {"lr": 0.1, "of": [1, {"deep": None}]}, "d" * 64, True
)


def test_facts_come_back_from_the_row_that_has_them(empty_db: Database) -> None:
    with empty_db.transaction() as session:
        row = Recipe(name="r", dataset="digits", epochs=3, config=WHOLE.config, digest=WHOLE.digest)
        row.train_images, row.val_images, row.test_images, row.first_epoch_is_best = 10, 2, 3, True
        session.add(row)
    with empty_db.transaction() as session:
        found = RecipeFacts.of(session.query(Recipe).one())
        assert (found, found.config, found.first_epoch_is_best) == (WHOLE, WHOLE.config, True)
        session.query(Recipe).one().val_images = None
        assert (
            RecipeFacts.of(session.query(Recipe).one()).images is None
        )  # one that is not known says nothing


def test_facts_have_pythons_own_types() -> None:
    facts = RecipeFacts(
        np.str_("r"), np.str_("digits"), np.int8(3), (np.int64(1), 2, np.uint8(3)), {"lr": np.float32(0.5)}
    )  # type: ignore[arg-type]
    assert facts == RecipeFacts("r", "digits", 3, Images(1, 2, 3))
    kinds = [type(value) for value in (facts.name, facts.epochs, facts.images, *(facts.images or ()))]
    assert kinds == [str, int, Images, int, int, int]
    assert facts.config == {"lr": 0.5}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, ""),
        ({"dataset": "cifar10"}, "dataset digits there, cifar10 here"),
        ({"epochs": 4}, "epochs 3 there, 4 here"),
        ({"images": Images(1, 2, 3)}, "images 10, 2, 3 there, 1, 2, 3 here"),
        ({"digest": "e"}, f"digest {'d' * 64} there, e here"),
        (
            {"digest": "e", "config": {"lr": 0.2}},
            "lr 0.1 there, 0.2 here; of [1, {'deep': None}] there, left out here",
        ),
        (
            {"digest": None, "config": {"lr": 0.2}},
            "lr 0.1 there, 0.2 here; of [1, {'deep': None}] there, left out here",
        ),
        ({"digest": None, "config": WHOLE.config}, ""),
        (
            {"digest": None, "config": {}},
            "lr 0.1 there, left out here; of [1, {'deep': None}] there, left out here",
        ),
        ({"config": {"lr": 0.2}}, ""),  # their digests are the same
        ({"images": None, "digest": None}, ""),
    ],
)
def test_facts_contradict_each_other_where_both_know(other: dict[str, Any], said: str) -> None:
    given = {
        "name": "r",
        "dataset": "digits",
        "epochs": 3,
        "images": WHOLE.images,
        "digest": WHOLE.digest,
    } | other
    assert WHOLE.contradicts(RecipeFacts(**given)) == said


def test_settings_differ_where_both_are_known() -> None:
    assert (
        differing({"a": 1, "b": 2}, {"a": 1, "c": 3}) == "b 2 there, left out here; c left out there, 3 here"
    )
    assert differing({"a": 1}, {"a": 1}) == differing(None, {"a": 1}) == differing({"a": 1}, None) == ""


def test_long_settings_are_told_where_they_begin_to_differ() -> None:
    same = "x" * 1_000
    told = differing({"a": f"{same}1{same}", "b": "y" * 300}, {"a": f"{same}2", "b": "z"})
    before, after = "…" + "x" * 40, "x" * 159 + "…"
    assert told == f"a {before}1{after} there, {before}2 here; b {'y' * 200}… there, z here"


def test_data_sets_are_those_that_can_be_loaded() -> None:
    assert set(DATASETS) == set(LOADERS)
    assert load_digits().sizes == DATASETS["digits"]
    assert RELEASED in DATASETS
    assert all(min(images) > 0 for images in DATASETS.values())


@pytest.mark.parametrize("name", ["r", "n" * 200, "cifar100-200", "a b", "ü"])
def test_a_recipe_may_have_any_name_that_can_be_asked_for(name: str) -> None:
    assert new_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "*", " * ", "n" * 201, "a\nb", "\x1b[31m", 5, None])
def test_a_recipe_has_no_name_that_nothing_can_be_asked_for_by(name: object) -> None:
    with pytest.raises(QueryError, match="a recipe's name is a text of at most 200 characters"):
        new_name(name)  # type: ignore[arg-type]

"""Recipes: the release's is the default, and every change makes another."""

from __future__ import annotations

import json
import re
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bloxdb.trainer.recipe import CHOICES, TrainingRecipe, default_recipe, make_recipe

import bloxdb
from bloxdb import Database
from bloxdb.db import DATASETS
from bloxdb.errors import QueryError
from bloxdb.runs.queue import RunQueue
from tests.trainer.helpers import QUICK, digits_recipe, job, some_digits, train


def test_the_default_is_the_releases_recipe() -> None:
    recipe = make_recipe(None, None, {})
    assert (recipe.dataset, recipe.epochs, recipe.batch, recipe.lr) == ("cifar100", 200, 256, 0.01)
    assert (recipe.momentum, recipe.weight_decay, recipe.precision) == (0.9, 5e-4, "fp32")
    assert (recipe.randaugment_ops, recipe.randaugment_magnitude) == (2, 14)
    assert (recipe.flip, recipe.crop_padding, recipe.cutout) == (0.5, 4, 16)
    assert (recipe.shear, recipe.init_order, recipe.data_seed) == ("centre", "stages", 0)
    assert recipe.augment
    assert recipe.deterministic
    assert recipe.name == "cifar100-200"


@pytest.mark.parametrize(
    "field", [f.name for f in fields(TrainingRecipe) if f.name not in ("dataset", "epochs", "called")]
)
def test_every_change_makes_another_name_and_digest(field: str) -> None:
    recipe = default_recipe("cifar100")
    value = getattr(recipe, field)
    if field in CHOICES:
        other = next(choice for choice in CHOICES[field] if choice != value)
    elif field == "data_seed":
        other = 7
    elif field == "data_digest":
        other = "0" * 64
    else:
        other = not value if isinstance(value, bool) else type(value)(value / 2)
    changed = replace(recipe, **{field: other})
    assert changed.digest != recipe.digest
    assert changed.name == f"cifar100-200-{'paper' if field == 'variant' else changed.digest[:8]}"


FIRST_RUNS = [
    ("cifar100", 200, {}, "a1a8bfc36cd9a098b7ed63f995630314d7f927d0b6bfc8931ade061321dbfeaa"),
    ("cifar10", 12, {}, "e5fcd03bf746c31cb8a1560f9267428258414f63457c02b2a684a3076aaafc76"),
    (
        *("cifar100", 200, {"lr": 0.1, "precision": "tf32"}),
        "e91ecc5523af51e00df27b6f46533177ed41b5114adda8e56bfde711ad1f1b9c",
    ),
]
"""Recipes as the first version wrote them, of which databases have runs: their digests never change."""

AS_THE_FIRST_RUNS = {"shear": "corner", "init_order": "cells", "data_seed": None}
"""What came later and is in today's default recipe otherwise; `variant` is not."""


@pytest.mark.parametrize(("dataset", "epochs", "changes", "digest"), FIRST_RUNS)
def test_a_recipe_of_the_first_runs_keeps_its_digest(
    dataset: str, epochs: int, changes: dict[str, object], digest: str
) -> None:
    recipe = replace(default_recipe(dataset, epochs), **changes, **AS_THE_FIRST_RUNS)
    assert recipe.digest == digest
    assert not set(AS_THE_FIRST_RUNS) & set(recipe.config())
    assert TrainingRecipe(**recipe.config()) == recipe


def test_the_default_recipe_of_the_digits_is_that_of_the_first_runs() -> None:
    recipe = default_recipe("digits", 3)
    assert recipe.name == "digits-3"
    assert recipe.digest == "af9593e95c0acd4f90f41fa24ef5a313fc4e92bb91a0e56049c323ed382d9e02"


@pytest.mark.parametrize("dataset", ["cifar100", "cifar10"])
def test_what_came_after_the_first_runs_is_in_the_config_of_the_releases_recipe(dataset: str) -> None:
    config = default_recipe(dataset).config()
    assert set(AS_THE_FIRST_RUNS) <= set(config)
    assert TrainingRecipe(**config) == default_recipe(dataset)


def test_both_releases_stand_side_by_side_in_one_database(empty_db: Database) -> None:
    public, paper = default_recipe("cifar100"), make_recipe(None, None, {"variant": "paper"})
    assert (public.name, paper.name) == ("cifar100-200", "cifar100-200-paper")
    assert "variant" not in public.config()
    assert paper.config() == public.config() | {"variant": "paper"}
    assert replace(paper, lr=0.1).name == f"cifar100-200-{replace(paper, lr=0.1).digest[:8]}"
    images = DATASETS["cifar100"]
    ids = {RunQueue(empty_db, [QUICK], recipe.facts(images), 0).recipe_id for recipe in (public, paper)}
    assert len(ids) == 2


def test_a_recipe_can_be_called_something_and_is_the_same_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('name = "mine"\ndataset = "digits"\n')
    recipe = make_recipe(None, path, {})
    assert (recipe.name, recipe.digest) == ("mine", default_recipe("digits").digest)
    assert recipe == default_recipe("digits")
    assert "called" not in recipe.config()
    assert make_recipe(None, path, {"called": "yours"}).name == "yours"


@pytest.mark.parametrize("name", ["", "  ", "*", "a\nb", "x" * 201])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(bloxdb.QueryError, match="a recipe's name is a text of at most 200 characters"):
        make_recipe("digits", None, {"called": name})


@pytest.mark.slow
def test_a_name_belongs_to_its_settings_and_settings_to_their_name(empty_db: Database) -> None:
    called = digits_recipe(1, called="mine")
    assert train(job(empty_db, [QUICK], called))[0]
    with pytest.raises(
        bloxdb.ReleaseError, match=r"another recipe named mine already \(lr 0.01 there, 0.5 here\); .*name"
    ):
        train(job(empty_db, [QUICK], replace(called, lr=0.5)))
    with pytest.raises(
        bloxdb.QueryError, match="settings are called mine in this database; leave the name yours"
    ):
        train(job(empty_db, [QUICK], replace(called, called="yours")))
    assert train(job(empty_db, [QUICK], digits_recipe(1))) == (True, [])  # they go on under their name
    assert empty_db.rows("SELECT name FROM recipes") == [{"name": "mine"}]


def test_epochs_are_in_the_name_and_alone_make_a_plain_one() -> None:
    assert make_recipe("cifar10", None, {"epochs": 12}).name == "cifar10-12"
    assert make_recipe("digits", None, {}).name == "digits-3"


def test_a_file_gives_fields_and_options_override_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('dataset = "cifar10"\nepochs = 30\nlr = 1\nbatch = 128\naugment = false\n')
    recipe = make_recipe(None, path, {"batch": 64})
    assert recipe == replace(default_recipe("cifar10", 30), lr=1.0, batch=64, augment=False)
    assert isinstance(recipe.lr, float)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate = 0.1", "a recipe has no 'learning_rate'; it has dataset, epochs"),
        ('epochs = "many"', "epochs of a recipe is an integer, not 'many'"),
        ("epochs = true", "epochs of a recipe is an integer, not True"),
        ('data_seed = "own"', "data_seed of a recipe is an integer, not 'own'; 'run' means the run's"),
        ("data_seed = -1", "data_seed of a recipe is in 0 … 9223372036854775807, not -1"),
        ("epochs = 0", "epochs of a recipe is in 1 … 65535, not 0"),
        ('precision = "fp8"', "there is no precision 'fp8'; choose one of: fp32, tf32, bf16"),
        ('shear = "left"', "there is no shear 'left'; choose one of: corner, centre"),
        ("epochs = ", "is not TOML"),
        ('dataset = "imagenet"', "there is no data set 'imagenet'; choose one of: cifar100, cifar10, digits"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(bloxdb.QueryError, match=re.escape(message)):
        make_recipe(None, path, {})


OF_A_TYPE = {
    "int": [0, 1, 30, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3)],
    "float": [
        0,
        1,
        0.5,
        -0.0,
        2**-20,
        True,
        np.float64(0.5),
        np.float16(0.5),
        np.int64(1),
        torch.tensor(0.5),
    ],
    "bool": [True, False, np.bool_(True), 0, 1],
    "str": ["fp32", np.str_("fp32"), "centre", "cells", "paper", "0" * 64, b"fp32"],
}
"""What is, or might be taken for, a value of a type."""
FOREIGN = [
    "3",
    3,
    2.5,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    [3],
    np.array([3]),
    {},
    object(),
    b"3",
    1j,
]


@pytest.mark.parametrize("field", fields(TrainingRecipe), ids=lambda field: field.name)
def test_whatever_a_field_is_given_becomes_its_type_or_is_refused_with_its_name(field: Field[Any]) -> None:
    """And recipes that are equal are one: of one digest, and of one text in a database."""
    recipe, (kind, *_) = default_recipe("cifar100"), str(field.type).split(" | ")
    types, taken = {"int": int, "float": float, "bool": bool, "str": str}, []
    for value in [*OF_A_TYPE[kind], *FOREIGN]:
        try:
            made = replace(recipe, **{field.name: value})
        except bloxdb.QueryError as error:
            assert field.name in str(error) or (field.name == "called" and "a recipe's name" in str(error))
            continue
        found = getattr(made, field.name)
        assert type(found) is types[kind] or (found is None and "None" in str(field.type))
        assert found == value
        taken.append((made, json.dumps(made.config(), sort_keys=True)))
    assert taken
    for made, text in taken:
        assert TrainingRecipe(**json.loads(text)) == made
        for other, others_text in taken:
            assert (made == other) == (made.digest == other.digest) == (text == others_text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "3"}, "epochs of a recipe is an integer, not '3'"),
        ({"epochs": 2.5}, "epochs of a recipe is an integer, not 2.5"),
        ({"batch": True}, "batch of a recipe is an integer, not True"),
        ({"lr": "fast"}, "lr of a recipe is a number, not 'fast'"),
        ({"lr": float("nan")}, "lr of a recipe is a finite number"),
        ({"augment": 1}, "augment of a recipe is True or False, not 1"),
        ({"called": 3}, "called of a recipe is a text, not 3"),
        ({"dataset": 3}, "dataset of a recipe is a text, not 3"),
        ({"data_seed": -1}, "data_seed of a recipe is in 0 … 9223372036854775807, not -1"),
        ({"variant": "Paper"}, "there is no variant 'Paper'; choose one of: public, paper"),
        ({"variant": ["paper"]}, "variant of a recipe is a text, not ['paper']"),
    ],
)
def test_what_is_wrong_in_python_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(bloxdb.QueryError, match=re.escape(message)):
        replace(default_recipe("digits"), **changes)
    with pytest.raises(bloxdb.QueryError, match=re.escape(message)):
        make_recipe(None, None, changes)


@pytest.mark.parametrize("zero", [0, -0.0, np.float32(0)])
def test_a_recipe_that_is_another_s_equal_is_gone_on_with(empty_db: Database, zero: Any) -> None:
    first, second = digits_recipe(1), digits_recipe(1, flip=zero)
    images = DATASETS["digits"]
    ids = {RunQueue(empty_db, [QUICK], recipe.facts(images), 0).recipe_id for recipe in (first, second)}
    assert len(ids) == 1


def test_a_file_can_say_what_runs_of_the_first_version_did(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('shear = "corner"\ninit_order = "cells"\ndata_seed = "run"\n')
    assert make_recipe(None, path, {}) == replace(default_recipe("cifar100"), **AS_THE_FIRST_RUNS)


def test_a_file_for_another_data_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('dataset = "cifar10"')
    with pytest.raises(bloxdb.QueryError, match="is a recipe for 'cifar10', not for 'digits'"):
        make_recipe("digits", path, {})


def test_a_recipe_is_stored_with_its_config_and_digest(empty_db: Database) -> None:
    recipe, data = digits_recipe(2), some_digits()
    first = RunQueue(empty_db, [], recipe.facts(data.sizes), 0).recipe_id
    assert RunQueue(empty_db, [], recipe.facts(data.sizes), 0).recipe_id == first
    (row,) = empty_db.reader.query(bloxdb.Recipe)
    assert (row.name, row.train_images, row.digest) == ("digits-2", 256, recipe.digest)
    assert TrainingRecipe(**row.config) == recipe
    assert RunQueue(empty_db, [], replace(recipe, lr=0.5).facts(data.sizes), 0).recipe_id != first


def test_runs_of_the_first_version_go_on_under_their_recipes_name(empty_db: Database) -> None:
    """Its default recipe was called as today's is, which is not mixed in."""
    dataset, epochs, _, digest = FIRST_RUNS[0]
    recipe = replace(default_recipe(dataset, epochs), **AS_THE_FIRST_RUNS)
    stored = replace(recipe.facts(DATASETS[dataset]), name="cifar100-200")
    first = RunQueue(empty_db, [QUICK], stored, 0).recipe_id
    assert RunQueue(empty_db, [QUICK], recipe.facts(DATASETS[dataset]), 0).recipe_id == first
    with pytest.raises(
        bloxdb.ReleaseError, match="0 here; init_order left .* shear left out there, centre here.; train"
    ):
        RunQueue(empty_db, [QUICK], default_recipe(dataset).facts(DATASETS[dataset]), 0)
    assert empty_db.rows("SELECT name, digest FROM recipes") == [{"name": "cifar100-200", "digest": digest}]


def test_another_recipe_under_the_same_name_is_refused(empty_db: Database) -> None:
    RunQueue(empty_db, [], digits_recipe(2).facts(some_digits(256).sizes), 0)
    with pytest.raises(
        bloxdb.ReleaseError, match="recipe named digits-2 already .images 256, 180, 360 there, 100"
    ):
        RunQueue(empty_db, [], digits_recipe(2).facts(some_digits(100).sizes), 0)


def test_a_recipe_that_came_with_release_files_is_gone_on_with(empty_db: Database) -> None:
    with empty_db.transaction() as session:
        images = {"train_images": 256, "val_images": 180, "test_images": 360}
        session.add(bloxdb.Recipe(name="digits-2", dataset="digits", epochs=2, **images))
    recipe_id = RunQueue(empty_db, [], digits_recipe(2).facts(some_digits(256).sizes), 0).recipe_id
    (row,) = empty_db.reader.query(bloxdb.Recipe)
    assert (row.id, row.digest) == (recipe_id, digits_recipe(2).digest)


BAD_TOML: dict[str, str] = {
    "a list": "epochs = [1, 2]",
    "a table": "[epochs]\nx = 1",
    "a text": "lr = 'fast'",
    "a truth value": "lr = true",
    "a date": "epochs = 2026-01-02",
    "infinity": "lr = inf",
    "no number": "momentum = nan",
    "huge": "epochs = 1" + "0" * 400,
    "very huge": "epochs = 1" + "0" * 9000,
    "huge for a float": "lr = 1" + "0" * 400,
    "nested": "x = " + "[" * 5000 + "]" * 5000,
    "unknown": f"{'x' * 5000} = 1",
    "twice": "epochs = 1\nepochs = 2",
    "no UTF-8": "epochs = '\udcff'",
    "long": "# " + "x" * 100_000,
    "a name of lines": 'name = "x\\n"',
    "a data set": "dataset = 3",
    "a digest": "data_digest = 3",
}


@pytest.mark.parametrize("name", BAD_TOML)
def test_a_recipe_that_is_none_is_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(BAD_TOML[name].encode("utf-8", "surrogateescape"))
    with pytest.raises(QueryError) as caught:
        make_recipe("digits", path, {})
    assert 0 < len(str(caught.value)) < 800
    assert "\n" not in str(caught.value).strip()

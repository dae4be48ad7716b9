"""What names a data set, and what is said of whatever does not."""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from bloxdb.trainer.data import load_data
from bloxdb.trainer.recipe import default_recipe
from bloxdb.trainer.sources import is_own, name_of

from bloxdb.db.recipes import DATASETS
from bloxdb.errors import QueryError
from tests.trainer.helpers import ROOT


@pytest.mark.parametrize("ask", [name_of, default_recipe, load_data])
@pytest.mark.parametrize("name", ["imagenet", "", "flowers.npy", "a b:load", "CIFAR100"])
def test_whoever_is_told_a_name_of_nothing_says_the_same(ask: Callable[[str], object], name: str) -> None:
    with pytest.raises(QueryError) as caught:
        ask(name)
    assert str(caught.value) == (
        f"there is no data set {name!r}; choose one of: {', '.join(DATASETS)}; one of your own is a file NAME.npz, "
        "or MODULE:FUNCTION"
    )


def test_it_is_written_once() -> None:
    said = [
        path.name
        for path in (ROOT / "trainer").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and "there is no data set" in str(node.value)
    ]
    assert said == ["sources.py"]


@pytest.mark.parametrize(
    ("source", "name", "own"),
    [("digits", "digits", False), ("a/flowers.npz", "flowers", True), ("my.flowers:load", "my.flowers:load", True)],
)  # fmt: skip
def test_a_data_set_is_called_after_its_file_or_as_it_is(source: str, name: str, own: bool) -> None:
    assert name_of(source) == name
    assert is_own(source) is own

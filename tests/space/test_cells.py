"""Cells, blocks and vectors against the golden files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bloxdb import space
from bloxdb.errors import InvalidArchError, QueryError
from bloxdb.space.cells import NUM_ARCHS, cell_text, indices_of_cells, nested, parse


def test_blocks_and_raw_cells_equal_the_golden_ones(golden: Path) -> None:
    cells = json.loads((golden / "cells.json").read_text())
    assert [[[b.cell[0]], list(b.cell[1:])] for b in space.BLOCKS] == cells["blocks"]
    assert len(cells["cells"]) == 72
    for entry in cells["cells"]:
        vec = [entry["cell"]] * 3
        if entry["block"] is None:
            with pytest.raises(InvalidArchError, match="no path"):
                space.block_indices(vec)
        else:
            assert space.block_indices(vec) == (entry["block"],) * 3


def test_schemes_have_the_documented_numbers_of_blocks() -> None:
    schemes = [block.scheme for block in space.BLOCKS]
    assert {s: schemes.count(s) for s in schemes} == {
        "ST1": 3,
        "ST2": 9,
        "ST3": 9,
        "ST4": 9,
        "ST5": 9,
        "ST6": 6,
    }


@pytest.mark.parametrize(
    ("vec", "message"),
    [
        ([[[0], [0, 1, 0, 0]]] * 2, "2 entries"),
        ([[[0], [0, 1, 0, 0]], [[0], [0, 1, 0]], [[0], [0, 1, 0, 0]]], "cell 2 of 3 must look like"),
        (
            [[[0], [0, 1, 0, 0]], [[3], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]],
            "op1 of cell 2 of 3 must be in 0 … 2",
        ),
        ([0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 2], "skip of cell 3 of 3"),
        ([0, 0, True, 0, 0] * 3, "prev of cell 1 of 3"),
        ([0, 0, 1.5, 0, 0] * 3, "prev of cell 1 of 3 must be an integer"),
        ([0, 0, 1, 0, 0] * 2 + [0, 0, 0, 0, 0], "cell 3 of 3, .* has no path"),
        ("[[[0]", "not an architecture vector"),
        (None, "is a list like"),
        (7.5, "is a list like"),
    ],
)
def test_bad_vectors_say_which_cell_and_why(vec: object, message: str) -> None:
    with pytest.raises(InvalidArchError, match=message):
        space.arch_index(vec)


@pytest.mark.parametrize("index", [-1, space.NUM_ARCHS])
def test_indices_outside_the_space_are_refused(index: int) -> None:
    with pytest.raises(InvalidArchError, match="0 … 91124"):
        space.arch_vec(index)


def test_validity_is_having_a_path() -> None:
    assert space.is_valid([[[0], [0, 1, 0, 0]]] * 3)
    assert not space.is_valid([[[0], [0, 0, 0, 0]]] * 3)
    with pytest.raises(InvalidArchError):
        space.is_valid([1, 2])


@pytest.mark.parametrize("index", [0, 405, 4711, NUM_ARCHS - 1])
def test_a_vector_is_told_compactly_and_nested_as_it_is_read(index: int) -> None:
    vec = space.arch_vec(index)
    assert vec == [nested(cell) for cell in parse(vec)]
    assert space.vec_text(vec) == json.dumps(vec).replace(" ", "")
    assert [cell_text(cell) for cell in parse(vec)] == [json.dumps(cell).replace(" ", "") for cell in vec]
    flat = [number for cell in parse(vec) for number in cell]
    assert parse(np.array(flat)) == parse(flat) == parse(vec)


def test_of_many_vectors_those_that_are_none_have_no_index() -> None:
    cells = np.array([parse(space.arch_vec(i)) for i in (7, 91_124)] * 2)
    cells[2, 1] = 0  # a cell without wires
    cells[3, 2, 0] = 3  # an operation that there is not
    cells = np.concatenate([cells, cells[:2]])
    cells[4, 0, 4] = 2  # a number that is no bit
    assert indices_of_cells(cells.astype(np.uint8)).tolist() == [7, 91_124, -1, -1, -1, 91_124]


RUBBISH: dict[str, Any] = {
    **{"None": None, "a number": 5, "a fraction": 5.5, "NaN": math.nan, "an object": object(), "a text": "x"},
    **{"bytes": b"x", "a text in a list": ["x"], "a deep list": [[[[1]]]], "a huge number": [10**30]},
    **{"a dict": {}, "a set": {1}, "an iterator": iter([1]), "lists of several lengths": [[1], [2, 3]]},
    **{"floats": np.zeros((2, 3)), "objects": np.array([None]), "no dimensions": np.array(3)},
    **{"bools": [True] * 5, "a tensor without data": torch.empty((2, 3), device="meta")},
}
TAKE: dict[str, Callable[[Any], object]] = {
    "nested": space.nested,
    "cell_text": space.cell_text,
    "vec_text": space.vec_text,
    "is_valid": space.is_valid,
    "parse": space.parse,
    "indices_of_cells": space.indices_of_cells,
    "indices_of_digests": space.indices_of_digests,
    "block_of_stage": lambda wrong: space.block_of_stage(wrong, 0),
    "block_of_stage, stage": lambda wrong: space.block_of_stage(np.array([1]), wrong),
    "arch_vec": space.arch_vec,
    "blocks_of": space.blocks_of,
}
"""Functions of cells and vectors, by what they take; add yours."""


@pytest.mark.parametrize("wrong", RUBBISH)
@pytest.mark.parametrize("way", TAKE)
def test_rubbish_is_told_in_a_sentence(way: str, wrong: str) -> None:
    if wrong in ("a number", "no dimensions") and way in ("arch_vec", "blocks_of"):
        return  # an index
    with pytest.raises((InvalidArchError, QueryError)) as told:
        TAKE[way](RUBBISH[wrong])
    assert 20 < len(str(told.value)) < 300


def test_arrays_of_rows_have_their_shape() -> None:
    with pytest.raises(
        InvalidArchError, match=r"digests are an array of integers of shape \(n, 16\), not uint8"
    ):
        space.indices_of_digests(np.zeros((2, 15), np.uint8))
    with pytest.raises(
        InvalidArchError, match=r"vectors are an array of integers of shape \(n, 3, 5\), not \[5\]"
    ):
        space.indices_of_cells([5])  # type: ignore[arg-type]
    with pytest.raises(InvalidArchError, match="digests are bytes, each 0 … 255"):
        space.indices_of_digests(np.full((1, 16), 256))
    with pytest.raises(InvalidArchError, match="an architecture index is in 0 … 91124, not -1"):
        space.block_of_stage(np.array([5, -1]), 0)
    with pytest.raises(QueryError, match="a stage is in 0 … 2, not 3"):
        space.block_of_stage(np.array([5]), 3)
    for empty in (
        space.indices_of_digests,
        space.indices_of_cells,
        lambda none: space.block_of_stage(none, 1),
    ):
        assert empty([]).tolist() == []
    assert space.indices_of_cells(-np.ones((1, 3, 5), np.int64)).tolist() == [-1]
    assert space.indices_of_digests(space.all_digests()[[7]].astype(np.int64)).tolist() == [7]

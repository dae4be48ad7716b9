"""Cells, blocks and vectors against the golden files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bloxdb import space
from bloxdb.errors import InvalidArchError
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

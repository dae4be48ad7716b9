"""Search space, hashes and graphs against the golden files."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bloxdb import space
from bloxdb.errors import InvalidArchError


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


def test_golden_architectures_have_their_index_vector_and_hash(golden: Path) -> None:
    with (golden / "archs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 406
    for row in rows:
        index = int(row["index"])
        assert space.arch_vec(index) == json.loads(row["arch_vec"])
        assert space.arch_index(row["arch_vec"]) == index
        assert space.model_hash(row["arch_vec"]) == row["model_hash"]


def test_raw_vectors_have_the_hash_of_their_canonical_ones(golden: Path) -> None:
    rows = json.loads((golden / "raw_vectors.json").read_text())
    assert len(rows) == 200
    for row in rows:
        if row["model_hash"] is None:
            with pytest.raises(InvalidArchError):
                space.model_hash(row["arch_vec"])
        else:
            assert space.model_hash(row["arch_vec"]) == row["model_hash"]
            assert space.model_hash(space.canonical(row["arch_vec"])) == row["model_hash"]


def test_all_hashes_have_the_golden_digest(golden: Path) -> None:
    digests = json.loads((golden / "digests.json").read_text())
    data = space.all_digests().tobytes()
    assert hashlib.sha256(data).hexdigest() == digests["sha256_of_all_hashes_in_index_order"]
    assert len(set(space.all_model_hashes())) == space.NUM_ARCHS
    assert space.all_model_hashes()[4711] == space.model_hash(space.arch_vec(4711))


def test_a_graph_leaves_out_what_no_path_uses() -> None:
    graph = space.graph([[[2], [1, 0, 1, 0]]] * 3)  # op1 is read by nobody
    assert graph.names[:3] == ("input", "stage1.op2:mbconv", "stage1.reduction")
    assert graph.labels == (-1, 1, 3, 5, 7, 9, 11, -2)
    assert graph.edges == tuple((i, i + 1) for i in range(7))


def test_vectors_may_be_nested_flat_text_or_numpy() -> None:
    vec = [[[2], [1, 0, 1, 1]], [[0], [0, 1, 0, 0]], [[1], [2, 1, 1, 0]]]
    flat = [2, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 2, 1, 1, 0]
    index = space.arch_index(vec)
    assert index == space.arch_index(flat) == space.arch_index(tuple(flat))
    assert index == space.arch_index(np.array(flat)) == space.arch_index(str(vec))
    assert index == space.arch_index("2,1,0,1,1,0,0,1,0,0,1,2,1,1,0")


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


def test_every_index_survives_its_vector() -> None:
    for index in range(0, space.NUM_ARCHS, 97):
        assert space.arch_index(space.arch_vec(index)) == index

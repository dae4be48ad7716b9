"""The search space under the original's names."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bloxdb.compat as blox
from bloxdb import space
from bloxdb.compat.utils import flatten
from bloxdb.errors import InvalidArchError, QueryError
from tests.compat.test_infos import NO_PATH

names = blox.search_space

RANDOM = names.get_random_architectures


def test_the_defaults_of_the_original_have_names() -> None:
    assert (names.all_ops, names.default_nodes, names.default_stages) == (["conv", "mbconv", "bconv"], 2, 3)


def test_the_shape_follows_operations_and_stages() -> None:
    assert names.get_search_space() == [[[3], [3, 2, 2, 2]]] * 3
    assert names.get_search_space(names.all_ops, 2, 3) == names.get_search_space()
    assert names.get_search_space(ops=["bconv"], stages=1) == [[[1], [1, 2, 2, 2]]]
    first = names.get_search_space()
    first[0][0][0] = 7  # a caller's own, which nothing else sees
    assert names.get_search_space() == [[[3], [3, 2, 2, 2]]] * 3
    assert first[1] == [[3], [3, 2, 2, 2]]


def test_all_vectors_are_those_without_a_path_too() -> None:
    every = names.get_all_architectures()
    assert len(every) == 72**3
    assert (
        sum(names.get_model_hash(vec) is not None for vec in islice(every, 72)) == 0
    )  # the others have none
    few = names.get_all_architectures(["conv", "bconv"], stages=1)
    assert [*few] == [
        [[[op1], [op2, prev, inp, skip]]]
        for skip in (0, 1)
        for inp in (0, 1)
        for prev in (0, 1)
        for op2 in (0, 1)
        for op1 in (0, 1)
    ]
    assert every[-1] == [[[2], [2, 1, 1, 1]]] * 3
    assert every[71:73] == [every[71], every[72]]
    assert repr(every) == "<373,248 architecture vectors>"
    with pytest.raises(IndexError):
        every[72**3]


def test_vectors_with_a_path_among_all_are_as_many_as_there_are() -> None:
    one_stage = names.get_all_architectures(stages=1)
    with_path = [cell for cell in one_stage if names.get_model_hash(cell * 3)]
    assert len(with_path) == 63
    assert len({names.get_model_hash(cell * 3) for cell in with_path}) == 45


def test_unique_ones_are_canonical_and_in_index_order() -> None:
    unique = names.get_unique_architectures()
    assert len(unique) == space.NUM_ARCHS
    assert [space.arch_index(vec) for vec in unique[4711:4720]] == [*range(4711, 4720)]
    assert all(vec == space.canonical(vec) for vec in unique[::997])


@pytest.mark.parametrize(
    "ops", [["conv"], ["mbconv", "bconv"], ["bconv", "conv"], ["bconv", "mbconv", "conv"]]
)
def test_fewer_operations_make_the_networks_that_do_with_them(ops: list[str]) -> None:
    unique = names.get_unique_architectures(ops, stages=1)
    hashes = {names.get_model_hash(vec * 3, ops) for vec in unique}
    expected = {
        space.model_hash([*block.cell] * 3)
        for block in space.BLOCKS
        if {block.op1, block.op2 or block.op1} <= set(ops)
    }
    assert hashes == expected
    assert len(unique) == len(expected)
    for vec in unique:
        cell = names.arch_vec_to_names(vec * 3, ops)[0]
        assert {cell[0][0], cell[1][0]} <= set(ops)


def test_random_ones_are_different_and_follow_the_seed() -> None:
    drawn = RANDOM(50, seed=3)
    assert drawn == RANDOM(50, seed=3) != RANDOM(50, seed=4)
    assert RANDOM(50) != RANDOM(50)
    assert len({space.arch_index(vec) for vec in drawn}) == 50
    assert sorted(RANDOM(6, ["conv"], 2, 1)) == sorted(names.get_unique_architectures(["conv"], 2, 1))
    assert all(vec[0][0] == [0] for vec in RANDOM(6, ["conv"], stages=1))


def test_hashes_are_those_of_the_golden_vectors(golden: Path) -> None:
    for row in json.loads((golden / "raw_vectors.json").read_text()):
        assert names.get_model_hash(row["arch_vec"]) == row["model_hash"]


def test_a_hash_without_minimizing_tells_vectors_of_one_network_apart() -> None:
    full = [[[0], [1, 1, 1, 1]]] * 3  # no node of it is superfluous
    assert names.get_model_hash(full, minimize=False) == names.get_model_hash(full)
    one, other = ([[[op1], [1, 0, 1, 0]]] * 3 for op1 in (0, 2))  # whose first operation nothing reads
    assert names.get_model_hash(one) == names.get_model_hash(other)
    assert names.get_model_hash(one, minimize=False) != names.get_model_hash(other, minimize=False)
    assert names.get_model_hash(NO_PATH) is None
    assert len(names.get_model_hash(NO_PATH, minimize=False) or "") == 32


def test_a_hash_or_an_index_will_do_for_a_vector() -> None:
    vec = space.arch_vec(405)
    for key in (405, np.int64(405), "405", space.model_hash(405), str(vec), np.array(flatten(vec))):
        assert names.get_model_hash(key) == space.model_hash(405)
        assert names.get_model_hash(key, minimize=False) == names.get_model_hash(vec, minimize=False)
        assert names.arch_vec_to_names(key) == names.arch_vec_to_names(vec)
    assert names.get_model_hash(-1) is None
    with pytest.raises(InvalidArchError):
        names.arch_vec_to_names(-1)


def test_names_stand_for_the_numbers_of_vectors_without_a_path_too() -> None:
    assert names.arch_vec_to_names(NO_PATH)[0] == [["conv"], ["conv", 0, 0, 0]]
    assert names.arch_vec_to_names([[[0], [1, 1, 0, 0]]] * 3) == [[["conv"], ["mbconv", 1, 0, 0]]] * 3
    assert (
        names.arch_vec_to_names([[[0], [1, 1, 0, 0]]] * 3, ["bconv", "conv"])
        == [[["bconv"], ["conv", 1, 0, 0]]] * 3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: names.get_search_space(["pool"]), "ops are different ones of conv, mbconv, bconv"),
        (lambda: names.get_search_space([]), "ops are different ones"),
        (lambda: names.get_unique_architectures(["conv", "conv"]), "ops are different ones"),
        (lambda: names.get_all_architectures(nodes=3), "a cell of Blox has 2 operations"),
        (lambda: names.get_all_architectures(stages=0), "the number of stages is in 1"),
        (lambda: names.get_random_architectures(6, ["conv"], stages=1, seed=1.5), "a seed is an integer"),
        (lambda: names.get_random_architectures(1, seed=-1), "a seed is 0 or more, not -1"),
        (lambda: names.get_random_architectures(7, ["conv"], stages=1), "in 0 … 6, not 7"),
        (lambda: names.arch_vec_to_names([[[2], [2, 1, 0, 0]]] * 3, ["conv"]), "a number that ops="),
    ],
)
def test_what_is_wrong_is_told(call: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        call()


def test_a_malformed_vector_is_a_value_error() -> None:
    for asked in (names.get_model_hash, names.arch_vec_to_names):
        with pytest.raises(InvalidArchError):
            asked([[[3], [0, 1, 0, 0]]] * 3)

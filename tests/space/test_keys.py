"""Whatever names an architecture, to its index and its hash."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import torch

from bloxdb import space
from bloxdb.compat.search_space import arch_vec_to_names
from bloxdb.errors import InvalidArchError
from bloxdb.space import keys


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


def test_vectors_may_be_nested_flat_text_or_numpy() -> None:
    vec = [[[2], [1, 0, 1, 1]], [[0], [0, 1, 0, 0]], [[1], [2, 1, 1, 0]]]
    flat = [2, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 2, 1, 1, 0]
    index = space.arch_index(vec)
    assert index == space.arch_index(flat) == space.arch_index(tuple(flat))
    assert index == space.arch_index(np.array(flat)) == space.arch_index(str(vec))
    assert index == space.arch_index("2,1,0,1,1,0,0,1,0,0,1,2,1,1,0")


def test_every_index_survives_its_vector() -> None:
    for index in range(0, space.NUM_ARCHS, 97):
        assert space.arch_index(space.arch_vec(index)) == index


ABSENT = [
    ("0" * 32, "no architecture of Blox has the hash 0000"),
    (91_125, "0 … 91124"),
    (-1, "0 … 91124"),
    ("-1", "0 … 91124"),
    ([0, 0, 0, 0, 0] * 3, "cell 1 of 3, .* has no path"),
]
MALFORMED = [[1, 2], True, 1.5, None, "hello", "", [[3, 0, 1, 0, 0]] * 3]


@pytest.mark.parametrize(
    "key",
    [
        4711,
        "4711",
        " 4711 ",
        "+4711",
        np.int16(4711),
        space.arch_vec(4711),
        str(space.arch_vec(4711)),
        np.array([n for cell in space.arch_vec(4711) for part in cell for n in part]),
        space.model_hash(4711),
        space.model_hash(4711).upper(),
    ],
)
def test_each_kind_of_key_gives_its_index(key: object) -> None:
    assert keys.find_arch(key) == keys.arch_index(key) == 4711
    assert keys.find_archs([0, key]).tolist() == keys.arch_indices(iter([0, key])).tolist() == [0, 4711]


@pytest.mark.parametrize(("key", "message"), ABSENT)
def test_a_key_that_names_nothing_is_none_or_an_error(key: object, message: str) -> None:
    assert keys.find_arch(key) is None
    assert keys.find_archs([7, key]).tolist() == [7, -1]
    with pytest.raises(InvalidArchError, match=message):
        keys.arch_index(key)
    with pytest.raises(InvalidArchError, match=message):
        keys.arch_indices([7, key])


@pytest.mark.parametrize("key", MALFORMED)
def test_a_malformed_key_is_an_error_everywhere(key: object) -> None:
    for ask in (keys.find_arch, keys.arch_index):
        with pytest.raises(InvalidArchError):
            ask(key)
    with pytest.raises(InvalidArchError):
        keys.find_archs([7, key])


def test_arrays_of_integers_are_indices() -> None:
    found = keys.find_archs(np.array([-1, 0, 91_124, 91_125], dtype=np.int32))
    assert (found.dtype, found.tolist()) == (np.int64, [-1, 0, 91_124, -1])
    with pytest.raises(InvalidArchError, match="0 … 91124"):
        keys.arch_indices(np.array([0, 91_125]))


def test_digests_are_found_among_all() -> None:
    digests = np.concatenate([space.all_digests()[[91_124, 0, 5]], np.full((2, 16), 255, dtype=np.uint8)])
    digests[4] = 0
    assert keys.indices_of_digests(digests).tolist() == [91_124, 0, 5, -1, -1]


def test_rows_of_an_array_are_vectors() -> None:
    flat = [n for cell in space.arch_vec(4711) for part in cell for n in part]
    assert keys.find_archs(np.array([flat, flat])).tolist() == [4711, 4711]


def test_block_indices_spell_the_index() -> None:
    assert keys.block_indices(7 + 45 * 8 + 2025 * 9) == (7, 8, 9)


def test_no_two_hashes_begin_with_the_same_8_digits() -> None:
    assert len({one[:8] for one in space.all_model_hashes()}) == space.NUM_ARCHS


BYTES = (b"405", bytearray(b"405"), memoryview(b"405"))


@pytest.mark.parametrize("one", ["405", 405, np.int64(405), None, np.array(5), torch.tensor(5), *BYTES])
def test_one_key_is_not_taken_for_many(one: object) -> None:
    for many in (space.find_archs, space.arch_indices):
        with pytest.raises(InvalidArchError, match="several architectures are wanted; put .* into a list"):
            many(one)  # type: ignore[operator]


FLAT = [n for cell in space.arch_vec(4711) for part in cell for n in part]


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, torch.tensor, pd.Series, polars.Series, lambda flat: map(int, flat)]
)
def test_one_flat_vector_is_not_taken_for_fifteen_indices(make: Callable[[list[int]], object]) -> None:
    for many in (space.find_archs, space.arch_indices):
        with pytest.raises(
            InvalidArchError, match=r"several architectures are wanted; put the one \[[0-9, ]+\] into a list"
        ):
            many(make(FLAT))  # type: ignore[arg-type]
    assert keys.find_archs(make(list(range(15)))).tolist() == list(range(15))  # type: ignore[arg-type]


@pytest.mark.parametrize("frame", [pd.DataFrame, lambda rows: polars.DataFrame(rows, orient="row")])
def test_a_frame_is_its_rows(frame: Callable[[list[list[int]]], Any]) -> None:
    other = [n for cell in space.arch_vec(7) for part in cell for n in part]
    assert keys.find_archs(frame([FLAT, other, FLAT])).tolist() == [4711, 7, 4711]
    assert keys.arch_indices(frame([other])).tolist() == [7]


@pytest.mark.parametrize(
    "make", [pd.DataFrame, polars.DataFrame, lambda columns: pa.table(columns)["key"], pa.table]
)
@pytest.mark.parametrize("given", [[7, 4711], [space.model_hash(7), space.model_hash(4711)]])
def test_a_frame_of_one_column_is_that_column(
    make: Callable[[dict[str, list[object]]], Any], given: list[object]
) -> None:
    if make is pa.table:
        with pytest.raises(InvalidArchError):
            keys.find_archs(make({"key": given}))
        return
    assert keys.find_archs(make({"key": given})).tolist() == [7, 4711]


@pytest.mark.parametrize("many", [keys.find_archs, keys.arch_indices])
def test_a_mapping_is_no_list_of_its_keys(many: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidArchError, match="several architectures are a list, an array or a data frame"):
        many({0: "vec", 1: "vec"})


@pytest.mark.parametrize("wrong", ["5", True, 5.0, None, "0" * 32])
def test_what_takes_an_index_takes_no_other_key(wrong: object) -> None:
    for of_index in (space.arch_vec, space.blocks_of, space.arch_cost):
        with pytest.raises(InvalidArchError, match="an architecture index is an integer, not "):
            of_index(wrong)  # type: ignore[operator]
    assert space.arch_vec(np.uint16(5)) == space.arch_vec(5)


@pytest.mark.parametrize(
    "key", [[[[0], [1, 0, 1, 1]]] * 3, "[[[0],[1,0,1,1]],[[0],[1,0,1,1]],[[0],[1,0,1,1]]]"]
)
def test_cells_of_a_vector_are_its_own(key: object) -> None:
    assert space.cells_of(key) == ((0, 1, 0, 1, 1),) * 3
    for other in (space.arch_index(key), str(space.arch_index(key)), space.model_hash(key)):
        assert space.cells_of(other) == ((1, 0, 0, 1, 1),) * 3 == space.parse(space.canonical(key))


@pytest.mark.parametrize("text", ["9" * 40, "9" * 5000, "-" + "9" * 5000, "+99999999", "-5", "12345"])
def test_any_number_is_an_index_or_a_hash(text: str) -> None:
    assert space.find_arch(text) == (12345 if text == "12345" else None)


@pytest.mark.parametrize("key", ["405", "+405", " 405 ", 405, np.int8(5), "39554afd", "39554AFD1B33A446"])
def test_what_is_no_vector_is_none_everywhere(key: object) -> None:
    index = space.arch_index(key)
    assert not keys.is_vector(key)
    assert space.cells_of(key) == space.parse(space.arch_vec(index))
    assert space.names(key) == arch_vec_to_names(key) == space.names(index)


@pytest.mark.parametrize(
    "text", ["39554af", "conv", "12 34", "0x12", "", "1.5", "39554afd1b33a44663e653ad10137b9a0"]
)
def test_a_text_that_names_nothing_is_told_what_names_something(text: str) -> None:
    with pytest.raises(InvalidArchError) as told:
        space.find_arch(text)
    assert "first 8 or more hex digits" in str(told.value) or "an architecture vector has 3 cells" in str(
        told.value
    )


@pytest.mark.parametrize(
    "key",
    [
        "[" * 100_000,
        torch.empty((3, 5), device="meta", dtype=torch.int64),
        torch.eye(3).to_sparse(),
        b"405",
        np.ma.array(5, mask=True),
        np.str_("[]"),
        np.array("405"),
        np.datetime64(405, "D"),
    ],
    ids=["brackets", "meta", "sparse", "bytes", "masked", "text", "array", "date"],
)
def test_what_no_library_can_read_is_no_key(key: object) -> None:
    for ask in (space.find_arch, space.arch_index, space.cells_of, space.names):
        with pytest.raises(InvalidArchError, match="architecture vector"):
            ask(key)

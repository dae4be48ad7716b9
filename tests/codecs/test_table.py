"""The table between files and the database: what it refuses, and how tables differ."""

from __future__ import annotations

import numpy as np
import pytest

from bloxdb import space
from bloxdb.codecs import Header, Table
from bloxdb.errors import BloxFormatError
from bloxdb.space.keys import KEY


def test_two_rows_of_one_architecture_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    with pytest.raises(BloxFormatError, match=f"row 2.*{'a0' * 16} has two rows"):
        Table.from_rows(header, [["a0" * 16, 1], ["b0" * 16, 1], ["a0" * 16, 1]])


@pytest.mark.parametrize("short", ["flops", "model_hash"])
def test_columns_of_different_lengths_are_refused(short: str) -> None:
    columns = {"model_hash": np.arange(48, dtype=np.uint8).reshape(3, 16), "flops": np.arange(3)}
    header = Header("static", ("model_hash", "flops"))
    assert len(Table(header, columns)) == 3
    columns[short] = columns[short][:2]
    with pytest.raises(BloxFormatError, match=f"different lengths: .*'{short}': 2"):
        Table(header, columns)


def test_columns_that_the_header_does_not_name_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    keys = np.zeros((1, 16), dtype=np.uint8)
    for columns in ({"model_hash": keys}, {"model_hash": keys, "flops": np.zeros(1, int), "params": keys}):
        with pytest.raises(BloxFormatError, match="not those that the header names"):
            Table(header, columns)


CURVES = Header("training", ("model_hash", "val_top1"), seed=0, epochs=3, dataset="d", part="base")


def curves(*rows: tuple[str, list[float]]) -> Table:
    return Table.from_rows(CURVES, [[key * 16, values] for key, values in rows])


ONE = curves(("a0", [1.0, 2.0, 3.0]), ("b0", [4.0, float("nan"), 6.0]))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (ONE, None),
        (curves(("a0", [1.0, 2.0, 3.0]), ("b0", [4.0, float("nan"), 6.0])), None),
        (curves(("a0", [1.0, 2.0, 3.0])), "2 rows and 1 row"),
        (
            curves(("a0", [1.0, 2.0, 3.0]), ("b0", [4.0, 5.0, 7.0])),
            f"row 1 ({'b0' * 16}), column val_top1: nan and 5.0",
        ),
        (
            curves(("a0", [1.0, 2.5, 3.5]), ("b0", [4.0, float("nan"), 6.0])),
            f"row 0 ({'a0' * 16}), column val_top1: 2.0 and 2.5",
        ),
        (
            curves(("a0", [1.0, 2.0, 3.0]), ("c0", [4.0, float("nan"), 6.0])),
            f"row 1 ({'b0' * 16}), column model_hash: 176 and 192",
        ),
    ],
)
def test_the_first_difference_is_told_with_its_place(other: Table, message: str | None) -> None:
    assert ONE.difference(other) == message


def test_tables_of_other_headers_differ() -> None:
    other = Header("training", ("model_hash", "val_top1"), seed=1, epochs=3, dataset="d", part="base")
    found = ONE.difference(Table(other, ONE.columns))
    assert found is not None
    assert found.startswith("headers differ: ")
    assert "seed=0" in found
    assert "seed=1" in found


def test_sorted_is_the_order_of_hashes() -> None:
    table = curves(("b0", [1.0] * 3), ("0a", [2.0] * 3), ("a0", [3.0] * 3))
    assert [row[0][:2] for row in table.sorted().rows()] == ["0a", "a0", "b0"]
    assert [row[1][0] for row in table.sorted().rows()] == [2.0, 3.0, 1.0]
    assert [row[0][:2] for row in table.take(np.array([2, 0])).rows()] == ["a0", "b0"]


def test_a_hash_that_ends_in_zeros_can_be_the_one_that_is_twice() -> None:
    header = Header("static", ("model_hash", "flops"))
    key = "ab" * 14 + "0000"
    with pytest.raises(BloxFormatError, match=f"row 1.*architecture {key} has two rows; keep one of them"):
        Table.from_rows(header, [[key, 1], [key, 2], ["b0" * 16, 1]])


def test_more_rows_than_architectures_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    keys = np.zeros((91_126, 16), dtype=np.uint8)
    keys[:, :4] = np.arange(91_126, dtype=">u4").view(np.uint8).reshape(-1, 4)
    assert len(Table(header, {"model_hash": keys[:-1], "flops": np.zeros(91_125, np.int64)})) == 91_125
    with pytest.raises(
        BloxFormatError, match="91126 rows are more than the 91125 architectures that there are"
    ):
        Table(header, {"model_hash": keys, "flops": np.zeros(91_126, np.int64)})


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("val_top1", np.zeros((1, 2)), "does not hold 3 values of kind accuracy"),
        ("val_top1", np.zeros((1, 3), np.int64), r"shape \(1, 3\) and type int64 does not hold"),
        ("val_top1", np.zeros((1, 3), np.float32), "type float32 does not hold"),
        ("model_hash", np.zeros((1, 15), np.uint8), "does not hold 16 values of kind"),
        ("model_hash", np.zeros((1, 16), np.int64), "type int64 does not hold"),
    ],
)
def test_arrays_of_another_shape_or_type_are_refused(name: str, array: np.ndarray, message: str) -> None:
    columns = {"model_hash": np.zeros((1, 16), np.uint8), "val_top1": np.zeros((1, 3)), name: array}
    with pytest.raises(BloxFormatError, match=message):
        Table(CURVES, columns)


def test_what_is_exact_is_kept_as_fixed_point_and_the_rest_as_it_is() -> None:
    assert ONE["val_top1"].dtype == np.float64  # NaN is no integer
    exact = curves(("a0", [1.0, 2.001, 3.0]))
    assert exact["val_top1"].tolist() == [[1000, 2001, 3000]]
    assert exact.values("val_top1").tolist() == [[1.0, 2.001, 3.0]]
    assert exact.difference(Table(CURVES, {**exact.columns, "val_top1": exact.values("val_top1")})) is None
    odd = curves(("a0", [1.0, 2.0001, 3.0]))
    assert odd["val_top1"].tolist() == odd.values("val_top1").tolist() == [[1.0, 2.0001, 3.0]]


def test_a_hash_of_no_architecture_is_told_with_its_row() -> None:
    with pytest.raises(
        BloxFormatError, match=f"here, row 0.*: {'a0' * 16} is not the hash of an architecture"
    ):
        ONE.arch_ids("here")


def test_a_table_says_what_it_has() -> None:
    assert repr(ONE) == "<Table blox-base-0: 2 rows of model_hash, val_top1>"


def test_the_first_architecture_has_the_index_0() -> None:
    header = Header("static", (KEY, "arch_vec"))
    table = Table.from_rows(header, [[space.model_hash(i), space.arch_vec(i)] for i in (0, 91_124)])
    assert table.arch_ids().tolist() == [0, 91_124]
    assert table.rows() == [[space.model_hash(i), space.arch_vec(i)] for i in (0, 91_124)]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "test_top1",
            np.array([1, 100_001], np.int32),
            "row 1, column test_top1: the value 100.001 is outside",
        ),
        ("test_top1", np.array([1, -1.5]), "row 1, column test_top1: the value -1.5 is outside"),
        ("train_time_s", np.array([1, -1]), "row 1, column train_time_s: the value -1 is negative"),
    ],
)
def test_values_of_arrays_are_checked_too(name: str, array: np.ndarray, message: str) -> None:
    header = Header("training", (KEY, name), seed=0, epochs=1, dataset="d", part="base")
    keys = np.arange(32, dtype=np.uint8).reshape(2, 16)
    with pytest.raises(BloxFormatError, match=message):
        Table(header, {KEY: keys, name: array})

"""Values of columns: what does not belong is refused with its place."""

from __future__ import annotations

import re

import pytest

from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE
from bloxdb.codecs.values import check_size, column_of
from bloxdb.errors import BloxFormatError


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["0" * 31, [1.0], 1.0, 1], "column model_hash: a model hash is 32 digits"),
        (["0" * 32, [1.0, 2.0], 1.0, 1], "column val_top1: expected a list of 1 numbers"),
        (["0" * 32, 1.0, 1.0, 1], "column val_top1: expected a list"),
        (["0" * 32, [1.0], "1.0", 1], "column test_top1: expected a number"),
        (["0" * 32, [1.0], 1.0, 1.5], "column train_time_s: expected a whole number"),
        (["0" * 32, [1.0], 1.0, -1], "column train_time_s: expected a whole number"),
        (["0" * 32, [101.0], 1.0, 1], "column val_top1: an accuracy is outside"),
        (["0" * 32, [1.0], 1.0], "must be a list of 4 values"),
    ],
)
def test_values_that_do_not_belong_are_refused_with_their_place(row: list[object], message: str) -> None:
    header = Header("training", BASE, seed=0, epochs=1, dataset="cifar100", part="base")
    with pytest.raises(BloxFormatError, match=f"row 0.*{message}"):
        Table.from_rows(header, [row])


def test_rows_that_cannot_be_told_in_so_few_bytes_are_refused() -> None:
    header = Header("training", BASE, seed=0, epochs=10, dataset="cifar100", part="base")
    each = len(BASE) + 10
    check_size(header, 3, 3 * each)
    with pytest.raises(BloxFormatError, match="3 rows of 10 epochs cannot be told in 41 bytes"):
        check_size(header, 3, 3 * each - 1)


def test_more_rows_than_architectures_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    check_size(header, 91_125, 2**40)
    with pytest.raises(BloxFormatError, match="91126 rows are more than the 91125 architectures"):
        check_size(header, 91_126, 2**40)


def test_columns_have_the_type_of_their_kind() -> None:
    assert column_of("flops", [2**62 + 1], 0).tolist() == [2**62 + 1]
    texts = column_of("gpu", ["a", ""], 0)
    assert (texts.dtype, texts.tolist()) == (object, ["a", ""])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gpu", 1, "expected a text, not 1"),
        ("flops", True, "expected a whole number below 2^63, not True"),
        ("latency", 2**53 + 1, "has more digits than a float can hold"),
        ("flops", 2**700, "not a number of very many digits"),
        ("latency", [1.0] * 900, "expected a number, not a list of 900"),
        ("arch_vec", "[[[0]", "an architecture vector is nested lists, not "),
        ("model_hash", "x" * 5000, "a model hash is 32 digits 0-9 a-f, not 'x{60}'$"),
    ],
)
def test_a_value_is_shown_briefly_however_large_it_is(name: str, value: object, message: str) -> None:
    with pytest.raises(BloxFormatError) as caught:
        column_of(name, [value], 0)
    assert re.search(message.replace("^", r"\^"), caught.value.problem)
    assert (caught.value.row, caught.value.column) == (0, name)

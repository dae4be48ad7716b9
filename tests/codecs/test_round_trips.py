"""Hostile data through every format."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.bloxtypes import counts_to_milli, milli_to_counts
from bloxdb.codecs.columns import BASE, BENCH, ENV
from bloxdb.codecs.header import parse
from bloxdb.errors import BloxFormatError
from tests.codecs.reference import read_rows
from tests.codecs.strategies import tables


def same(a: object, b: object) -> bool:
    """Equal in value and type; NaN equals NaN, and -0.0 is not 0.0."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


@settings(max_examples=150)
@given(tables())
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_any_table_survives_any_format(name: str, table: Table) -> None:
    parts, _ = codecs.encode(table, name)
    back = codecs.decode(b"".join(parts))
    assert back.header == table.header
    assert same(back.rows(), table.rows())
    assert back.difference(table) is None


@settings(max_examples=150)
@given(tables())
def test_what_the_kernels_write_reads_alike_in_plain_python(table: Table) -> None:
    types, body = codecs.FORMATS["blox"].encode(table)
    assert types is not None
    assert same(read_rows(b"".join(body), types), table.rows())


@settings(max_examples=100)
@given(tables(extreme=False))
def test_data_of_the_release_needs_extensions_only_for_long_lists_and_odd_texts(table: Table) -> None:
    _, extensions = codecs.encode(table, "blox")
    for extension in extensions:
        assert extension.type.startswith(("list16[", "utf8"))
        assert "m_" not in extension.type
        assert "f64" not in extension.type


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@settings(max_examples=40)
@given(tables())
def test_pickles_of_every_protocol_are_read(protocol: int, table: Table) -> None:
    parts, _ = codecs.encode(table, "pickle")
    data = parts[0] + pickle.dumps(table.rows(), protocol=protocol)
    assert same(codecs.decode(data).rows(), table.rows())


@pytest.mark.parametrize("images", [45_000, 5_000, 10_000])
def test_every_count_of_images_becomes_the_original_percentage_and_comes_back(images: int) -> None:
    counts = np.arange(images + 1, dtype=np.int32)
    milli = counts_to_milli(counts, images)
    assert (milli / 1000.0).tolist() == [round(count / images * 100, 3) for count in range(images + 1)]
    back = milli_to_counts(milli, images)
    assert back is not None
    assert np.array_equal(back, counts)


def base_table(values: list[list[float]]) -> Table:
    header = Header("training", BASE, seed=0, epochs=len(values[0]), dataset="cifar100", part="base")
    return Table.from_rows(header, [[f"{i:032x}", row, 50.0, 7] for i, row in enumerate(values)])


def type_of(table: Table, column: str) -> str:
    types, _ = codecs.FORMATS["blox"].encode(table)
    assert types is not None
    return types[column]


def test_the_width_of_a_bit_field_is_right_where_the_original_writer_fails() -> None:
    assert type_of(base_table([[10.0, 10.0]]), "val_top1") == "list[b_500_500_1]"
    assert type_of(base_table([[10.0, 10.08]]), "val_top1") == "list[b_500_504_3]"
    assert type_of(base_table([[0.0, 100.0]]), "val_top1") == "list[b_0_5000_13]"


def test_a_minimum_beyond_the_original_reader_is_lowered() -> None:
    header = Header(
        "training", ("model_hash", "train_top1"), seed=0, epochs=1, dataset="cifar100", part="ext"
    )
    table = Table.from_rows(header, [["0" * 32, [100.0]]])
    assert type_of(table, "train_top1") == "list[b_32767_45000_14]"


def test_extension_types_are_named_and_refused_in_strict_mode() -> None:
    table = base_table([[33.333, 66.667]])
    parts, extensions = codecs.encode(table, "blox")
    assert extensions == [("val_top1", "list[m_32767_66667_16]")]
    assert codecs.decode(b"".join(parts)).rows() == table.rows()
    with pytest.raises(BloxFormatError, match="val_top1.*the original package"):
        codecs.encode(table, "blox", strict=True)
    assert codecs.encode(table, "csv", strict=True)[1] == []


def test_thousandths_that_fit_the_original_float_need_no_extension() -> None:
    assert type_of(base_table([[3.333, 6.667]]), "val_top1") == "list[float]"


def test_numbers_that_blox_cannot_hold_are_refused_with_their_place() -> None:
    header = Header("static", ("model_hash", "flops"))
    table = Table.from_rows(header, [["0" * 32, 1], ["1" * 32, 2**32]])
    with pytest.raises(BloxFormatError, match="row 1, column flops: 4294967296 is too large"):
        codecs.encode(table, "blox")
    assert codecs.decode(b"".join(codecs.encode(table, "csv")[0])).rows() == table.rows()


def test_a_header_longer_than_readers_look_is_refused() -> None:
    header = Header("benchmarking", BENCH, device="d" * 900)
    with pytest.raises(BloxFormatError, match="1024 at the most"):
        codecs.encode(Table.from_rows(header, []), "csv")


def test_a_header_text_that_would_end_it_is_refused() -> None:
    header = Header("benchmarking", BENCH, device="a---b")
    with pytest.raises(BloxFormatError, match="---"):
        codecs.encode(Table.from_rows(header, []), "csv")


def test_the_longest_header_of_the_release_fits() -> None:
    texts = ["ü" * 300] * 12
    table = Table.from_rows(Header("env", ENV, seed=2**40), [["0" * 32, *texts]])
    parts, extensions = codecs.encode(table, "blox")
    assert len(extensions) == 12
    assert parse(parts[0]).header == table.header


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


def test_two_rows_of_one_architecture_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    with pytest.raises(BloxFormatError, match=f"row 2.*{'a0' * 16} has two rows"):
        Table.from_rows(header, [["a0" * 16, 1], ["b0" * 16, 1], ["a0" * 16, 1]])

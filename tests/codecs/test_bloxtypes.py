"""The types of `.blox` columns: counts of images, widths of bit fields, and extensions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.bloxtypes import counts_to_milli, milli_to_counts
from bloxdb.errors import BloxFormatError
from tests.codecs.strategies import base_table, tables


@settings(max_examples=100)
@given(tables(extreme=False))
def test_data_of_the_release_needs_extensions_only_for_long_lists_and_odd_texts(table: Table) -> None:
    _, extensions = codecs.encode(table, "blox")
    for extension in extensions:
        assert extension.type.startswith(("list16[", "utf8"))
        assert "m_" not in extension.type
        assert "f64" not in extension.type


@pytest.mark.parametrize("images", [45_000, 5_000, 10_000])
def test_every_count_of_images_becomes_the_original_percentage_and_comes_back(images: int) -> None:
    counts = np.arange(images + 1, dtype=np.int32)
    milli = counts_to_milli(counts, images)
    assert (milli / 1000.0).tolist() == [round(count / images * 100, 3) for count in range(images + 1)]
    back = milli_to_counts(milli, images)
    assert back is not None
    assert np.array_equal(back, counts)


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

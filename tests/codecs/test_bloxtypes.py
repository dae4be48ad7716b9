"""The types of `.blox` columns: counts of images, widths of bit fields, and extensions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table, bloxtypes
from bloxdb.codecs.bloxtypes import MAX_TEXT, counts_to_milli, milli_to_counts
from bloxdb.errors import BloxFormatError
from bloxdb.space.keys import KEY
from tests.codecs.strategies import base_table, tables


@pytest.mark.slow
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


SIZES = {  # bytes of a field, of its smallest, of its largest, and in an array, with five epochs
    "hash": (16, 16, 16, 16),
    "arch": (3, 3, 3, 15),
    "int": (4, 4, 4, 8),
    "str": (-1, 1, 256, 8),
    "utf8": (-2, 4, 4 + MAX_TEXT, 8),
    "float": (3, 3, 3, 4),
    "f64": (8, 8, 8, 8),
    "b_0_10000_16": (2, 2, 2, 4),
    "b_0_10000_17": (3, 3, 3, 4),
    "m_0_100000_17": (3, 3, 3, 4),
    "list[float]": (16, 16, 16, 20),
    "list[f64]": (41, 41, 41, 40),
    "list[b_500_500_1]": (2, 2, 2, 20),
    "list[b_500_504_3]": (3, 3, 3, 20),
    "list16[m_0_100000_17]": (13, 13, 13, 20),
}
OF_KIND = {"hash": KEY, "arch": "arch_vec", "int": "flops", "str": "gpu", "utf8": "gpu"}


@pytest.mark.parametrize("text", SIZES)
def test_the_sizes_of_a_field(text: str) -> None:
    name = OF_KIND.get(text) or ("val_top1" if text.startswith("list") else "test_top1")
    kind = bloxtypes._parse(name, text, 5)
    assert str(kind) == text
    told = (kind.field_size(5), kind.least_size(5), kind.most_size(5), kind.array_size(5))
    assert told == SIZES[text]
    assert kind.is_bits == (SIZES[text][3] in (4, 20) and not text.endswith("f64]"))
    assert kind.is_extension == (text.startswith(("m", "list16")) or "f64" in text or text == "utf8")


@pytest.mark.parametrize(("name", "most"), [("list", 255), ("list16", 65_535)])
def test_a_list_has_no_more_values_than_its_length_can_say(name: str, most: int) -> None:
    assert bloxtypes._parse("val_top1", f"{name}[float]", most).prefix == (1 if most == 255 else 2)
    with pytest.raises(BloxFormatError, match=rf"'{name}\[float\]' cannot hold {most + 1:,} epochs"):
        bloxtypes._parse("val_top1", f"{name}[float]", most + 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("test_top1", "b_0_10000_24"),
        ("test_top1", "b_10000_10000_1"),
        ("test_top1", "m_0_100000_1"),
        ("val_top1", "list[b_0_5000_1]"),
    ],
)
def test_a_range_within_what_can_be_is_taken(name: str, text: str) -> None:
    assert str(bloxtypes._parse(name, text, 5)) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("test_top1", "b_0_10001_14"),
        ("test_top1", "b_5_4_1"),
        ("test_top1", "b_0_1_0"),
        ("test_top1", "b_0_1_25"),
        ("test_top1", "m_0_100001_17"),
        ("val_top1", "list[b_0_5001_13]"),
    ],
)
def test_a_range_that_cannot_be_is_refused(name: str, text: str) -> None:
    with pytest.raises(BloxFormatError, match="has an impossible range"):
        bloxtypes._parse(name, text, 5)


@pytest.mark.parametrize(("largest", "fits"), [(2**32 - 1, True), (2**32, False), (2**33, False)])
def test_whole_numbers_have_32_bits(largest: int, fits: bool) -> None:
    header = Header("static", (KEY, "flops"))
    table = Table.from_rows(
        header, [[f"{i:032x}", n] for i, n in enumerate([1, 2**31, largest, 5, 2**40])][: 4 + (not fits)]
    )
    if fits:
        assert codecs.decode(b"".join(codecs.encode(table, "blox")[0])).rows() == table.rows()
    else:
        with pytest.raises(BloxFormatError, match=f"row 2, column flops: {largest} is too large"):
            codecs.encode(table, "blox")


@pytest.mark.parametrize(
    ("micro", "kind"), [(0, "float"), (2**24 - 1, "float"), (2**24, "f64"), (2**25, "f64")]
)
def test_a_loss_of_24_bits_is_a_float_of_the_original(micro: int, kind: str) -> None:
    header = Header("training", (KEY, "val_loss"), seed=0, epochs=1, dataset="cifar100", part="ext")
    table = Table.from_rows(header, [["0" * 32, [micro / 1e6]]])
    assert type_of(table, "val_loss") == f"list[{kind}]"
    assert codecs.decode(b"".join(codecs.encode(table, "blox")[0])).rows() == table.rows()


@pytest.mark.parametrize(("epochs", "prefix"), [(1, "list"), (255, "list"), (256, "list16")])
def test_long_lists_have_a_longer_length(epochs: int, prefix: str) -> None:
    assert type_of(base_table([[10.0] * epochs]), "val_top1").startswith(f"{prefix}[")


@pytest.mark.parametrize(
    ("text", "kind"), [("", "str"), ("a" * 255, "str"), ("a" * 256, "utf8"), ("ä", "utf8")]
)
def test_texts_of_the_original_are_short_and_ascii(text: str, kind: str) -> None:
    table = Table.from_rows(Header("env", (KEY, "gpu"), seed=1), [["0" * 32, text], ["1" * 32, "a"]])
    assert type_of(table, "gpu") == kind


def test_a_test_accuracy_takes_whole_bytes_and_others_do_not() -> None:
    header = Header(
        "training", (KEY, "test_top1", "train_top1"), seed=0, epochs=1, dataset="cifar100", part="base"
    )
    table = Table.from_rows(header, [["0" * 32, 50.0, [50.0]], ["1" * 32, 50.01, [50.002]]])
    assert type_of(table, "test_top1") == "b_5000_5001_8"

"""Pickles: of every protocol, written as the pickler does, and never run."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.errors import BloxFormatError
from tests.codecs.reference import pickled, same, written
from tests.codecs.strategies import HEAD, SMALL, base, few_rows, peak_of, tables


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@settings(max_examples=40)
@given(tables())
def test_pickles_of_every_protocol_are_read(protocol: int, table: Table) -> None:
    parts, _ = codecs.encode(table, "pickle")
    data = parts[0] + pickle.dumps(table.rows(), protocol=protocol)
    assert same(codecs.decode(data).rows(), table.rows())


class Evil:
    """Something that a pickle could run."""

    ran = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Evil, "ran", True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_would_run_something_is_refused_before_it_runs(protocol: int) -> None:
    for thing in (Evil(), [["0" * 32, Evil()]], int, b"bytes", {"a": 1}, None, {1, 2}):
        with pytest.raises(BloxFormatError, match="does not belong|list of rows"):
            codecs.decode(HEAD + pickle.dumps(thing, protocol=protocol))
    assert not Evil.ran


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x06].",
        b"I1\n.",
        b"\x80\x02(e.",
        b"\x80\x02a.",
        b"\x80\x02]a.",
        b"\x80\x02e.",
        b"\x80\x02h\x00.",
        b"\x80\x02(q\x00.",
        b"\x80\x02(.",
        b"\x80\x02]].",
        b"\x80\x02G\x00.",
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].",
        b"\x80\x04\x8c\x01\xff.",
        b"\x80\x02X\xff\xff\xff\xff.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02P1\n.",
        b"\x80\x02]q\x00h\x00a.",
    ],
)
def test_broken_pickles_are_errors(body: bytes) -> None:
    with pytest.raises(BloxFormatError):
        codecs.decode(HEAD + body)


def test_a_pickle_that_names_one_row_many_times_stays_small() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=60_000, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), "pickle")[0][0]
    row = ["0" * 32, [1.0] * 60_000]
    data = head + pickle.dumps([row] * 50_000)
    assert peak_of(lambda: codecs.decode(data)) < 20_000_000


@pytest.mark.parametrize(
    ("epochs", "rows"),
    [(1, 1), (1, 2), (2, 999), (2, 1000), (2, 1001), (1, 2500), (999, 3), (1000, 3), (1001, 3), (2500, 30)],
)
def test_batches_and_frames_end_where_the_pickler_ends_them(epochs: int, rows: int) -> None:
    table = base(epochs, rows)
    assert written(table, "pickle") == pickled(table)
    assert codecs.decode(b"".join(codecs.encode(table, "pickle")[0])).difference(table) is None


def test_a_pickle_with_lists_in_lists_in_lists_is_refused() -> None:
    head = codecs.encode(Table.from_rows(Header("static", ("model_hash", "arch_vec")), []), "pickle")[0][0]
    nested: list[object] = []
    for _ in range(100):
        nested = [nested]
    with pytest.raises(BloxFormatError, match="lists within lists"):
        codecs.decode(head + pickle.dumps([["0" * 32, nested]]))
    itself: list[object] = []
    itself.append(itself)
    with pytest.raises(BloxFormatError, match="lists within lists"):
        codecs.decode(head + pickle.dumps([["0" * 32, itself]]))


def folded(items: int, depth: int) -> list[object]:
    """Lists of so many names of one list, so many times: `items` to the power of `depth` items."""
    found: list[object] = [1.0] * items
    for _ in range(depth - 1):
        found = [found] * items
    return found


LISTS = [
    ("model_hash", folded(200, 3), "a list of 200 stands where one value is due: model hash"),
    ("test_top1", folded(200, 4), "a list of 200 stands where one value is due: accuracy in percent"),
    ("train_time_s", folded(200, 9), "a list of 200 stands where one value is due: whole number"),
    ("val_top1", folded(200, 2), "expected a list of 3 numbers, one an epoch, not 200 values"),
    ("val_top1", folded(3, 9), "lists within lists do not belong here"),
    ("val_top1", [[1.0], 1.0, 1.0], "lists within lists do not belong here"),
    ("gpu", folded(200, 3), "a list of 200 stands where one value is due: text"),
    ("latency", folded(200, 3), "a list of 200 stands where one value is due: loss or milliseconds"),
    ("params", folded(200, 3), "a list of 200 stands where one value is due: whole number"),
    ("arch_vec", folded(220, 3), "say more than"),
    ("arch_vec", folded(3, 9), "lists within lists within lists within lists do not belong here"),
]


@pytest.mark.parametrize("text", [str, np.str_], ids=["plain", "odd"])
@pytest.mark.parametrize(("column", "value", "sentence"), LISTS)
def test_few_bytes_that_unfold_to_much_are_refused_before_they_do(
    column: str, value: list[object], sentence: str, text: type[str], golden: Path
) -> None:
    for stem in SMALL:
        table = few_rows(golden, stem)
        if column in table.columns:
            break
    if table.header.epochs:
        table = base(3, 3)
    rows = table.rows()
    rows[1][table.header.columns.index(column)] = value
    rows[2][0] = text(rows[2][0])  # one of NumPy's makes an odd pickle of all
    head = codecs.encode(table, "pickle")[0][0]
    data = head + pickle.dumps(rows)
    assert peak_of(lambda: codecs.decode(data)) < 3_000_000
    with pytest.raises(BloxFormatError, match=re.escape(sentence)) as info:
        codecs.decode(data)
    assert (info.value.row, info.value.column) == (1, column)


def test_a_pickle_that_shares_rows_parts_is_read() -> None:
    head = codecs.encode(base(3, 0), "pickle")[0][0]
    curve = [1.0, 2.5, 3.0]
    rows = [[f"{i:032x}", curve, curve[0], 7] for i in range(5)]
    for protocol in range(2, 6):
        assert codecs.decode(head + pickle.dumps(rows, protocol)).rows() == rows


def test_whole_numbers_among_floats_of_a_pickle_are_floats() -> None:
    head = codecs.encode(base(3, 0), "pickle")[0][0]
    rows = [["0" * 32, [1, 2.5, 3], 50, 7]]
    assert codecs.decode(head + pickle.dumps(rows)).rows() == [["0" * 32, [1.0, 2.5, 3.0], 50.0, 7]]

"""Pickles: of every protocol, written as the pickler does, and never run."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs import csv as csv_codec
from bloxdb.codecs import pickle as pickle_codec
from bloxdb.codecs.columns import BASE, BENCH, COLUMNS, ENV, EXT, INFO, Kind, is_list
from bloxdb.codecs.values import column_of
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


CUT, NO_LIST, NOTHING = "the pickle is cut off", "there is no list to append to", "there is no item to append"
NO_ROWS, NO_ROW = "does not hold a list of rows", "row 0: a row must be a list of 2 values"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "byte 0: not a pickle of protocol 2 to 5"),
        (b"\x80", "byte 0: not a pickle of protocol 2 to 5"),
        (b"\x80\x06].", "byte 0: not a pickle of protocol 2 to 5"),
        (b"I1\n.", "byte 0: not a pickle of protocol 2 to 5"),
        (b"\x80\x04", f"byte 2: {CUT}$"),
        (b"\x80\x02G\x00.", f"byte 2: {CUT}$"),
        (b"\x80\x02X\xff\xff\xff\xff.", f"byte 2: {CUT}$"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", f"byte 2: {CUT}$"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].", f"byte 2: {CUT} within a frame"),
        (b"\x80\x04.", "byte 3: the pickle does not end with one object"),
        (b"\x80\x02(.", "byte 4: the pickle does not end with one object"),
        (b"\x80\x02]].", "byte 5: the pickle does not end with one object"),
        (b"\x80\x02(e.", f"byte 3: {NO_LIST}"),
        (b"\x80\x02]a.", f"byte 3: {NO_LIST}"),
        (b"\x80\x02a.", f"byte 2: {NOTHING}"),
        (b"\x80\x02(q\x00.", f"byte 3: {NOTHING} or to remember"),
        (b"\x80\x02e.", "byte 2: there is no mark to append from"),
        (b"\x80\x02h\x00.", "byte 2: an item is asked for that was never remembered"),
        (b"\x80\x04]\x94h\x05.", "byte 4: an item is asked for that was never remembered"),
        (b"\x80\x02]q\xff.", "byte 3: items are remembered under numbers far apart"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "byte 3: items are remembered under numbers far apart"),
        (b"\x80\x02\x8b\xff\xff\xff\xff.", "byte 2: a whole number of more than 16 bytes"),
        (b"\x80\x02\x8a\x11" + bytes(17) + b".", "byte 2: a whole number of more than 16 bytes"),
        (b"\x80\x04].abc", "byte 4: 3 bytes follow the pickle's end"),
        (b"\x80\x04\x8c\x01\xff.", NO_ROWS),
        (b"\x80\x02\x82\x01.", f"the extension 1 does not belong here: the pickle {NO_ROWS}"),
        (b"\x80\x04N.", f"None does not belong here: the pickle {NO_ROWS}"),
        (b"\x80\x02P1\n.", "byte 2: opcode PERSID does not belong in a file of plain data"),
        (b"\x80\x02\xff.", "byte 2: opcode 0xff does not belong in a file of plain data"),
        (b"\x80\x02]q\x00h\x00a.", NO_ROW),
        (b"\x80\x02]]a.", NO_ROW),
        (b"\x80\x02]K\x01a.", NO_ROW),
    ],
)
def test_broken_pickles_are_errors_with_their_place(body: bytes, problem: str) -> None:
    with pytest.raises(BloxFormatError, match=problem):
        codecs.decode(HEAD + body)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (["0" * 32], "row 1: a row must be a list of 2 values"),
        (["0" * 32, 1.5, 1.5], "row 1: a row must be a list of 2 values"),
        ("0" * 32, "row 1: a row must be a list of 2 values"),
        (["0" * 31, 1.5], "row 1, column model_hash: a model hash is 32 digits"),
        (["0" * 32, "1.5"], "row 1, column latency: expected a number, not '1.5'"),
        (["0" * 32, True], "row 1, column latency: "),
        (["0" * 32, 2**70 + 1], "row 1, column latency: 1180591620717411303425 has more digits than a float"),
        (["0" * 32, -(2**70)], "row 1, column latency: the value .* is negative"),
        (["0" * 32, [1.5]], "row 1, column latency: a list of 1 stands where one value is due"),
    ],
)
def test_a_row_that_cannot_be_is_told(row: object, problem: str) -> None:
    with pytest.raises(BloxFormatError, match=problem):
        codecs.decode(HEAD + pickle.dumps([["1" * 32, 0.5], row]))


@pytest.mark.parametrize(("module", "slow"), [(pickle_codec, ()), (csv_codec, (Kind.INT, Kind.ARCH))])
@pytest.mark.parametrize(
    "header",
    [
        Header("static", INFO),
        Header("training", BASE, seed=1, epochs=3, dataset="d", part="base"),
        Header("training", EXT, seed=1, epochs=1, dataset="d", part="ext"),
        Header("benchmarking", BENCH, device="a"),
    ],
)
def test_what_a_release_holds_of_numbers_is_read_by_the_kernels(
    header: Header, module: ModuleType, slow: tuple[Kind, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a kernel gives up, values are made one by one: right, but ten times as slow."""

    def made(name: str, values: list[Any], epochs: int) -> Any:
        assert COLUMNS[name] in slow, f"{name} is read value by value"
        return column_of(name, values, epochs)

    values = {
        Kind.HASH: "0" * 32, Kind.INT: 5, Kind.ACCURACY: 12.5, Kind.FLOAT: 1.25, Kind.ARCH: space.arch_vec(7)
    }  # fmt: skip
    row = [values[COLUMNS[name]] for name in header.columns]
    row = [
        [value] * (header.epochs or 1) if is_list(name) else value
        for name, value in zip(header.columns, row, strict=True)
    ]
    table = Table.from_rows(header, [row])
    data = b"".join(codecs.encode(table, module.NAME)[0])
    monkeypatch.setattr(module, "column_of", made)
    assert codecs.decode(data).difference(table) is None


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"])
def test_a_text_that_is_no_text_is_told_with_its_place(text: str) -> None:
    texts = ["a"] * (len(ENV) - 1)
    rows = [["0" * 32, *texts], ["1" * 32, *texts[:-1], text]]
    table = Table.from_rows(Header("env", ENV, seed=1), rows)
    with pytest.raises(
        BloxFormatError, match=f"row 1, column {ENV[-1]}: the text cannot be written as UTF-8"
    ):
        codecs.encode(table, "pickle")


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

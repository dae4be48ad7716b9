"""Pickles with NumPy's numbers and torch's version are plain data; any other object is refused by its name."""

from __future__ import annotations

import collections
import copyreg
import datetime
import decimal
import fractions
import os
import pathlib
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import bloxdb
from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import ENV
from bloxdb.errors import BloxFormatError
from bloxdb.space import NUM_ARCHS
from tests.codecs.reference import same
from tests.codecs.strategies import HEAD, base, peak_of, tables

PROTOCOLS = [2, 3, 4, 5]


def with_scalars(value: Any, whole: Any, real: Any) -> Any:
    """A value with NumPy's numbers in place of Python's."""
    if isinstance(value, list):
        return [with_scalars(item, whole, real) for item in value]
    if isinstance(value, int):
        return whole(value)
    return real(value) if isinstance(value, float) else value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=25)
@given(tables())
def test_tables_of_numpy_numbers_are_read_as_plain_data(protocol: int, table: Table) -> None:
    rows = [with_scalars(row, np.int64, np.float64) for row in table.rows()]
    for texts in (str, np.str_):
        again = [[texts(v) if isinstance(v, str) and "\0" not in v else v for v in row] for row in rows]
        data = codecs.encode(table, "pickle")[0][0] + pickle.dumps(again, protocol=protocol)
        assert same(codecs.decode(data).rows(), table.rows())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ["<", ">", "="])
@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_every_type_of_number_is_read(code: str, order: str, protocol: int) -> None:
    number = np.array([7], dtype=order + code)[0]
    rows = [["0" * 32, [1.0, number, 2], number, 7]]
    data = codecs.encode(base(3, 0), "pickle")[0][0] + pickle.dumps(rows, protocol)
    assert codecs.decode(data).rows() == [["0" * 32, [1.0, 7.0, 2.0], 7.0, 7]]


WRONG_STATES = [
    *((3, "<", None, None, None, -1, -1, flags) for flags in (1, 2, 4, 8, 63, 253, -1)),
    *((3, "<", None, None, None, *sizes, 0) for sizes in ((2, -1), (-1, 2), (4, 4))),
    *((3, "<", *given, -1, -1, 0) for given in (((), None, None), (None, ("a",), None), (None, None, {}))),
    *((version, "<", None, None, None, -1, -1, 0) for version in (0, 1, 2, 5)),
    *((3, order, None, None, None, -1, -1, 0) for order in ("", "I", "x", None, 1)),
    *(3, (), (3, "<"), [3, "<", None, None, None, -1, -1, 0], (3, "<", None, None, None, -1, -1, 0, 0)),
]


@pytest.mark.parametrize("state", WRONG_STATES, ids=repr)
@pytest.mark.parametrize("code", ["f2", "f8", "i4", "U5"])
def test_a_type_in_another_state_than_numpy_gives_is_refused(code: str, state: object) -> None:
    """NumPy itself reads other bytes then, or none."""

    class Scalar:
        def __reduce__(self) -> Any:
            return np.float64(0).__reduce__()[0], (Kind(), np.zeros(1, dtype=code).tobytes())

    class Kind:
        def __reduce__(self) -> Any:
            return np.dtype, (code, False, True), state

    data = HEAD_OF_ONE + pickle.dumps([["0" * 32, [Scalar()], 1.0, 7]], 4)
    with pytest.raises(BloxFormatError, match=f"type '{code} in an unknown state' does not belong"):
        codecs.decode(data)


def test_what_numpy_1_and_python_2_wrote_is_read() -> None:
    dtype = b"cnumpy\ndtype\nq\1(U\2f8K\0K\1tRq\2(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    scalar = b"cnumpy.core.multiarray\nscalar\n(" + dtype + b"U\x08" + struct.pack("<d", 2.5) + b"tR"
    data = (
        HEAD_OF_ONE
        + b"\x80\x02"
        + b"](](X\x20\0\0\0"
        + b"0" * 32
        + b"]("
        + scalar
        + b"e"
        + scalar
        + b"I7\nee."
    )
    assert codecs.decode(data).rows() == [["0" * 32, [2.5], 2.5, 7]]


HEAD_OF_ONE = codecs.encode(base(1, 0), "pickle")[0][0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_torchs_version_is_a_text(protocol: int, golden: Path, tmp_path: Path) -> None:
    assert type(torch.__version__) is not str
    table = codecs.read(golden / "release-small" / "blox-env-0.pickle")
    at = ENV.index("torch_version")
    rows = table.rows()
    for row in rows:
        row[at] = torch.__version__
    head = codecs.encode(table, "pickle")[0][0]
    path = tmp_path / "blox-env-0.pickle"
    path.write_bytes(head + pickle.dumps(rows, protocol))
    read = codecs.read(path)
    assert {type(value) for value in read.rows()[0]} == {str}
    assert read.rows() == [[str(value) for value in row] for row in rows]


class Evil:
    """Something that a pickle could run."""

    ran: list[object] = []

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Evil.ran.append, (1,)


class Listed(list[float]):
    """A list of a class of its own."""


class Slotted:
    __slots__ = ("a",)

    def __init__(self) -> None:
        self.a = 1


class Version(str):
    """A text of a class of its own."""


ODD = [
    (collections.OrderedDict(a=1), "collections.OrderedDict"),
    (datetime.date(2020, 1, 1), "datetime.date"),
    (decimal.Decimal("1.5"), "decimal.Decimal"),
    (fractions.Fraction(1, 2), "fractions.Fraction"),
    (pathlib.PurePosixPath("a"), "pathlib.PurePosixPath"),
    (np.array([1.0, 2.0]), "numpy.ndarray"),
    (np.array(1.0), "numpy.ndarray"),
    (np.datetime64("2020-01-01"), "NumPy's scalars of type 'M8'"),
    (np.complex128(1), "NumPy's scalars of type 'c16'"),
    (np.longdouble(1), "NumPy's scalars of type 'f16'"),
    (np.bytes_(b"ab"), "NumPy's scalars of type 'S2'"),
    (np.void(b"ab"), "NumPy's scalars of type 'V2'"),
    (np.float64, "numpy.float64"),
    (np.dtype("f8"), "numpy.dtype"),
    (torch.tensor(1.0), "torch._utils._rebuild_tensor_v2"),
    (os.system, "posix.system"),
    (Evil(), "getattr"),
    (Listed([1.0]), "Listed"),
    (Slotted(), "Slotted"),
    (Version("1"), "Version"),
    (1j, "builtins.complex"),
    (range(3), "range"),
    ({"a": 1}, "an object of type dict"),
    ({1}, "set"),
    (frozenset([1]), "frozenset"),
    ((1.0, 2.0), "an object of type tuple"),
    (b"ab", "bytes"),
    (bytearray(b"ab"), "bytearray"),
    (None, "None"),
    (True, "True"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("odd", "name"), ODD, ids=[name for _, name in ODD])
def test_other_objects_are_refused_by_their_names_with_row_and_column(
    odd: object, name: str, protocol: int
) -> None:
    head = codecs.encode(base(2, 0), "pickle")[0][0]
    good = [f"{i:032x}" for i in range(3)]
    for column, at in (("test_top1", 2), ("train_time_s", 3), ("val_top1", 1)):
        rows: list[list[Any]] = [[key, [1.0, 2.0], 3.0, 4] for key in good]
        rows[1][at] = [1.0, odd] if column == "val_top1" else odd
        with pytest.raises(BloxFormatError, match=re.escape(name)) as info:
            codecs.decode(head + pickle.dumps(rows, protocol), source="file")
        assert str(info.value).startswith(f"file, row 1, column {column}: ")
        told = "does not belong"
        if odd is None:  # and train_time_s has no nan
            is_needed = column == "train_time_s"
            told = (
                "it cannot be left out; write"
                if is_needed
                else "expected a number, not None; write nan where"
            )
        assert told in str(info.value)
    with pytest.raises(BloxFormatError, match=re.escape(name)) as info:
        codecs.decode(head + pickle.dumps([[good[0], [1.0, 2.0], 3.0, 4], odd], protocol))
    assert info.value.row == 1
    if odd is not None:
        with pytest.raises(BloxFormatError, match=f"{re.escape(name)}.*list of rows"):
            codecs.decode(head + pickle.dumps(odd, protocol))
    assert not Evil.ran


def test_nothing_is_imported_or_called(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    command = f"touch {marker}"
    for body in (
        b"cos\nsystem\n(X" + struct.pack("<I", len(command)) + command.encode() + b"tR",
        b"(X" + struct.pack("<I", len(command)) + command.encode() + b"ios\nsystem\n",
        b"(cos\nsystem\nX" + struct.pack("<I", len(command)) + command.encode() + b"o",
        b"cnumpy.core.multiarray\nscalar\n(cos\nsystem\nX"
        + struct.pack("<I", len(command))
        + command.encode()
        + b"tR",
        b"cnumpy\ndtype\n(cos\nsystem\ntR(K\3U\1<tb",
        b"Pos.system\n",
        b"cbloxdb_no_such_module\nx\n",
        b"ctorch.torch_version\nTorchVersion\n(cos\nsystem\nt\x81",
    ):
        with pytest.raises(BloxFormatError, match="does not belong|a row must be a list|damaged"):
            codecs.decode(HEAD + b"\x80\x02](](" + body + b"ee.")
    assert not marker.exists()


def test_registered_extensions_are_not_looked_up() -> None:
    copyreg.add_extension("os", "system", 200)
    try:
        with pytest.raises(BloxFormatError, match="the extension 200"):
            codecs.decode(
                HEAD_OF_ONE + pickle.dumps([os.system, 1], 2).replace(b"cposix\nsystem\n", b"\x82\xc8")
            )
    finally:
        copyreg.remove_extension("os", "system", 200)


def test_a_name_in_a_refusal_is_short_and_printable() -> None:
    name = b"\x1b[31m" + b"x" * 5000
    with pytest.raises(BloxFormatError) as info:
        codecs.decode(HEAD_OF_ONE + b"\x80\x02]((X\0\0\0\0c" + name + b"\nx\nKKee.")
    assert "\x1b" not in str(info.value)
    assert len(str(info.value)) < 300


@pytest.mark.parametrize(
    "body",
    [
        b"N", b"N" * 200_000, b"(" * 200_000, b"N0.", b"0.", b"N]0a.", b"2.", b"Ne.", b"(Ne.", b"cos\n", b"c", b"\x93.",
        b"R.", b"NR.", b"b.", b"\x81.", b"N\x92.", b"Nh\x05.", b"\x85.", b"\x87.", b"t.", b"d.", b"N..", b"N\xff.",
        b"\x8f\x90.", b"cnumpy\ndtype\n)R.", b"cnumpy.core.multiarray\nscalar\n)R.", b"NS'\\x'\n.", b"Nr\xff\xff\xff\xff.",
        b"N\x96\xff\xff\xff\xff\xff\xff\xff\x7f.", b"N\x8b\xff\xff\xff\x7f.", b"N\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"NL" + b"9" * 10_000 + b"L\n.", b"NF1e\n.", b"N\x97.", b"N\x98.",
    ],
)  # fmt: skip
def test_broken_odd_pickles_are_errors_and_stay_small(body: bytes) -> None:
    assert peak_of(lambda: codecs.decode(HEAD + b"\x80\x05" + body)) < 30_000_000


@pytest.mark.slow
def test_an_odd_pickle_that_names_one_row_many_times_stays_small() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=60_000, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), "pickle")[0][0]
    row = ["0" * 32, [np.float64(1.0)] * 60_000]
    data = head + pickle.dumps([row] * 50_000)
    assert peak_of(lambda: codecs.decode(data)) < 30_000_000


def test_an_odd_pickle_has_no_more_rows_than_there_are_architectures() -> None:
    row = ["0" * 32, [np.float64(1.0)], 3.0, 4]
    data = HEAD_OF_ONE + pickle.dumps([row] * (NUM_ARCHS + 1) + ["x" * 2_000_000])
    with pytest.raises(BloxFormatError, match="a row is a list"):
        codecs.decode(data)
    data = HEAD_OF_ONE + pickle.dumps([row] * (NUM_ARCHS + 1))
    with pytest.raises(BloxFormatError, match=f"{NUM_ARCHS + 1} rows are more than the {NUM_ARCHS}"):
        codecs.decode(data)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"(cos\nsystem\nK\1o", "os.system"),  # a class of Python 2
        (b"(o", "an object"),
        (b"c_codecs\nencode\n(K\1X\6\0\0\0latin1tR", "_codecs.encode"),
    ],
)
def test_what_old_opcodes_make_is_refused_by_its_name(value: bytes, name: str) -> None:
    with pytest.raises(BloxFormatError, match=rf"column test_top1: {name} does not belong"):
        codecs.decode(
            HEAD_OF_ONE
            + b"\x80\x02](](X\x20\0\0\0"
            + b"0" * 32
            + b"]G"
            + b"\0" * 8
            + b"a"
            + value
            + b"K\1ee."
        )


def test_a_whole_number_that_is_spelt_has_39_digits_at_the_most() -> None:
    def read(digits: int) -> None:
        row = b"](X\x20\0\0\0" + b"0" * 32 + b"]G" + b"\0" * 8 + b"aI" + b"1" * digits + b"\nK\1e"
        codecs.decode(HEAD_OF_ONE + b"\x80\x02](" + row + b"e.")

    with pytest.raises(BloxFormatError, match="column test_top1"):
        read(39)
    with pytest.raises(BloxFormatError, match="a whole number of so many digits"):
        read(40)


def test_lists_in_lists_of_an_odd_pickle_are_refused() -> None:
    head = codecs.encode(Table.from_rows(Header("static", ("model_hash", "arch_vec")), []), "pickle")[0][0]
    itself: list[object] = [np.int64(1)]
    itself.append(itself)
    with pytest.raises(BloxFormatError, match="lists within lists"):
        codecs.decode(head + pickle.dumps([["0" * 32, itself]]))


def test_a_release_of_numpy_numbers_is_imported(
    golden: Path, tmp_path: Path, empty_db: bloxdb.Database
) -> None:
    source = golden / "release-tiny"
    for path in source.glob("*.pickle"):
        table = codecs.read(path)
        head = codecs.encode(table, "pickle")[0][0]
        rows = with_scalars(table.rows(), np.int32, np.float64)
        (tmp_path / path.name).write_bytes(head + pickle.dumps(rows))
        assert codecs.read(tmp_path / path.name).difference(table) is None
    added = bloxdb.import_release(tmp_path, empty_db)
    again = bloxdb.import_release(source, empty_db)
    assert (again.added, again.replaced) == (0, 0)
    assert added.added

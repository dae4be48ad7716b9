"""Lines of CSV: numbers however they are spelled, and what is told of a bad line."""

from __future__ import annotations

import csv
import io
import math
import pickle
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs import csv as csv_codec
from bloxdb.codecs.columns import BASE, ENV, INFO
from bloxdb.errors import BloxFormatError
from tests.codecs.strategies import HEAD, peak_of


def test_a_csv_whose_header_lies_about_epochs_stays_small() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=65_535, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), "csv")[0][0]
    lines = b"".join(f"{i:032x},[1.0]\r\n".encode() for i in range(20_000))
    assert peak_of(lambda: codecs.decode(head + lines)) < 20_000_000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"0,1.5\r\n", "row 0, column model_hash"),
        (b"%b,1_5\r\n", "row 0, column latency: '1_5' is not the text of: loss"),
        (b"%b, 1.5\r\n", "column latency"),
        (b"%b,1.5,2\r\n", "3 fields"),
        (b"%b\r\n", "1 field, but the header has 2 columns"),
        (b"%b,1.5", "does not end"),
        (b"%b,1.5\r", "does not end"),
        (b'%b,"1.5\r\n', "quote stands alone"),
        (b'%b,"1.5"x\r\n', "quote stands alone"),
        (b"%b,\xff\r\n", "not UTF-8"),
    ],
)
def test_broken_csv_lines_are_errors_with_their_place(line: bytes, message: str) -> None:
    head = HEAD.replace(b"pickle", b"csv")
    with pytest.raises(BloxFormatError, match=message):
        codecs.decode(head + line.replace(b"%b", b"ab" * 16))


@pytest.mark.parametrize(
    "text",
    ["1.50", "01.5", "1.5e0", "15e-1", "1.5000000000", "0.15e1", "1.5e+00", "1.500e-000"],
)
def test_other_spellings_of_a_number_are_the_same_number(text: str) -> None:
    head = codecs.encode(
        Table.from_rows(Header("benchmarking", ("model_hash", "latency"), device="x"), []), "csv"
    )
    data = head[0][0] + f"{'ab' * 16},{text}\r\n".encode()
    assert codecs.decode(data).rows() == [["ab" * 16, float(text)]]


@pytest.mark.parametrize("text", ["", "-", ".5", "5.", "1e", "1e+", "1_0", "0x1", "1.5 ", "+1", "1,5", "Inf"])
def test_texts_that_are_no_numbers_are_refused(text: str) -> None:
    head = codecs.encode(
        Table.from_rows(Header("benchmarking", ("model_hash", "latency"), device="x"), []), "csv"
    )
    with pytest.raises(BloxFormatError, match="row 0"):
        codecs.decode(head[0][0] + f"{'ab' * 16},{text}\r\n".encode())


@pytest.mark.parametrize(
    ("tail", "problem", "row", "offset"),
    [
        (b'%b,"1.5\r\n%b,1\r\n', "the line does not end, or a quote stands alone", 1, True),
        (
            b'%b,"1.5',
            "the last line does not end: the file was cut off, or has lost its last line break",
            1,
            True,
        ),
        (
            b"%b,1.5",
            "the last line does not end: the file was cut off, or has lost its last line break",
            1,
            True,
        ),
        (b"\r\n", "the line is blank; no line is, the last one neither", 1, False),
        (b"\n%b,1.5\r\n", "the line is blank; no line is, the last one neither", 1, False),
        (b"%b\r\n", "1 field, but the header has 2 columns", 1, False),
        (b"%b,\xff", "the body is not UTF-8: invalid start byte", 1, True),
        (b"%b,1.5,2\r\n", "3 fields, but the header has 2 columns", 1, False),
    ],
)
def test_a_bad_line_is_told_with_its_row_and_offset(
    tail: bytes, problem: str, row: int, offset: bool
) -> None:
    first = b"cd" * 16 + b",1.5\r\n"
    data = HEAD.replace(b"pickle", b"csv") + first + tail.replace(b"%b", b"ab" * 16)
    with pytest.raises(BloxFormatError) as caught:
        codecs.decode(data, source="bad.csv")
    error = caught.value
    assert (error.source, error.problem, error.row) == ("bad.csv", problem, row)
    if offset:
        assert error.offset is not None
        assert len(first) <= error.offset <= len(first) + len(tail.replace(b"%b", b"ab" * 16))
    else:
        assert error.offset is None


@pytest.mark.parametrize("other", ["None", "null", "NaN", "-Infinity", "Inf", "1_5", "", "x" * 900, "[1.0]"])
@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("format", ["csv", "pickle"])
def test_what_is_no_number_in_a_list_is_told_with_its_place(other: str, place: int, format: str) -> None:
    header = Header("training", BASE, seed=0, epochs=5, dataset="d", part="base")
    head = codecs.encode(Table.from_rows(header, []), format)[0][0]
    given = {"None": None, "[1.0]": [1.0]}.get(other, other)
    if format == "csv":
        texts = ["1.0"] * 5
        texts[place] = other
        data = head + f'{"0" * 32},"[{", ".join(texts)}]",50.0,3\r\n'.encode()
        known = (
            f"value {place + 1} of 5, {other[:40]!r}, is not the text of a number; write nan where nothing"
        )
    else:
        values = [*[1.0] * place, given, *[1.0] * (4 - place)]
        data = head + pickle.dumps([["0" * 32, values, 50.0, 3]])
        known = f"value {place + 1} of 5: expected a number, not "
        known = "lists within lists do not belong here" if isinstance(given, list) else known
    with pytest.raises(BloxFormatError, match=f"row 0, column val_top1: {re.escape(known)}") as caught:
        codecs.decode(data)
    assert ("write nan" in str(caught.value)) is (format == "csv" or other == "None")


BENCHED = Header("benchmarking", ("model_hash", "latency"), device="x")
TRAINED = Header("training", ("model_hash", "train_loss"), 1, 2, "cifar100", "ext")


def empty(header: Header) -> bytes:
    return codecs.encode(Table.from_rows(header, []), "csv")[0][0]


NO_FLOATS = [
    *(
        "100000000000000000000000",
        "922337203685477581",
        "9007199254740993e-3",
        "18446744073709551617.5",
        "1234567890123456789",
        "99999999999999999999",
    ),
    *(
        "1e400",
        "1" * 330,
        "1e-400",
        "3e-324",
        "0.1234567890123456789",
        "0.30000000000000000001",
        "16777217.000000001",
    ),
]


@pytest.mark.parametrize("text", NO_FLOATS)
@pytest.mark.parametrize(
    ("header", "row"), [(BENCHED, "{}"), (TRAINED, '"[0.5, {}]"')], ids=["single", "list"]
)
def test_a_number_with_digits_that_no_float_has_is_refused(header: Header, row: str, text: str) -> None:
    data = empty(header) + f"{'ab' * 16},{row.format('1.5')}\r\n{'cd' * 16},{row.format(text)}\r\n".encode()
    with pytest.raises(BloxFormatError, match=f"^data, row 1, column {header.columns[1]}: "):
        codecs.decode(data)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "0.1",
            "0.10000000000000001",
            "0.1000000000000000055511151231257827021181583404541015625",
            "5e-324",
        ),
        *(
            "1e22",
            "10000000000000000000000",
            "1.7976931348623157e+308",
            "2147483.647",
            "2147483648",
            "9223372036854775808",
        ),
        *(
            "4.9406564584124654e-324",
            "0e9999",
            "0.000000",
            "00000000000000000000000000012.5",
            "1.5" + "0" * 200,
        ),
    ],
)
def test_a_number_is_read_as_the_float_that_has_its_digits(text: str) -> None:
    data = empty(BENCHED) + f"{'ab' * 16},{text}\r\n".encode()
    assert codecs.decode(data).rows() == [["ab" * 16, float(text)]]


def digits() -> st.SearchStrategy[str]:
    whole = st.integers(0, 10**24).map(str)
    tail = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=24).map(lambda text: f".{text}"))
    power = st.one_of(st.just(""), st.integers(-400, 400).map(lambda n: f"e{n}"))
    zeros = st.integers(0, 12).map(lambda n: "0" * n)
    return st.builds(lambda *parts: "".join(parts), zeros, whole, tail, power)


@given(digits())
def test_the_kernel_and_the_slow_path_read_the_same_number_or_refuse_it(text: str) -> None:
    """A row with a number that no integer of its decimals holds sends the whole column the slow way."""
    line = f"{'ab' * 16},{text}\r\n".encode()
    slow_line = f"{'cd' * 16},0.123456789\r\n".encode()
    found = []
    for data in (line, line + slow_line):
        try:
            found.append(codecs.decode(empty(BENCHED) + data).rows()[0])
        except BloxFormatError as error:
            found.append([str(error)])
    assert found[0] == found[1]
    if len(found[0]) == 2:
        value = found[0][1]
        assert value == float(text)
        assert value == Fraction(text) or abs(value - Fraction(text)) < Fraction(math.ulp(value))


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "1e3", "1.0", "-1", "+1", " 1", "1_0", "", "0x10", "١"]
)
@pytest.mark.parametrize("column", [1, 2])
def test_a_whole_number_is_digits_below_2_to_the_63rd(column: int, text: str) -> None:
    values = ["ab" * 16, "1", "2", '"[[[0], [0, 0, 0, 0]], [[0], [0, 0, 0, 0]], [[0], [0, 0, 0, 0]]]"']
    values[column] = text
    with pytest.raises(BloxFormatError, match=f"^data, row 0, column {INFO[column]}: "):
        codecs.decode(empty(Header("static", INFO)) + (",".join(values) + "\r\n").encode())


TEXTS = ["a", "", 'say "a"', "one, two", "two\nlines", "ü" * 499, "x" * 1000, '"' * 1001, "x" * 1001]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_as_they_were_however_long(text: str) -> None:
    rows = [[f"{i:032x}", *[text] * (len(ENV) - 1)] for i in range(3)]
    table = Table.from_rows(Header("env", ENV, seed=1), rows)
    (body,) = csv_codec.encode(table)[1]
    assert list(csv.reader(io.StringIO(body.decode(), newline=""))) == rows
    assert codecs.decode(empty(table.header) + body).rows() == rows


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_several_rows_is_one_object_unless_it_is_long(text: str) -> None:
    rows = [[f"{i:032x}", *[text] * (len(ENV) - 1)] for i in range(3)]
    table = Table.from_rows(Header("env", ENV, seed=1), rows)
    back = codecs.decode(b"".join(codecs.encode(table, "csv")[0]))
    size = len(text.encode()) + text.count('"')  # of the field: quotes are doubled
    assert len({id(found) for name in ENV[1:] for found in back[name]}) == 1 or size > 1000


def test_vectors_come_back_and_others_are_refused() -> None:
    rows = [[f"{i:032x}", 2, 1, space.arch_vec(4711 * i)] for i in range(3)]
    table = Table.from_rows(Header("static", INFO), rows)
    data = b"".join(codecs.encode(table, "csv")[0])
    assert codecs.decode(data).rows() == rows
    for wrong in ("[[1, 2], [3", "[]", "5", "", "[a]", "x" * 99):
        line = f'{"ab" * 16},1,2,"{wrong}"\r\n'.encode()
        with pytest.raises(BloxFormatError, match="row 3, column arch_vec"):
            codecs.decode(data + line)


@pytest.mark.parametrize("length", [1, 40, 41, 90])
def test_a_field_that_is_no_number_is_shown_with_40_letters(length: int) -> None:
    line = f"{'ab' * 16},{'x' * length}\r\n".encode()
    with pytest.raises(BloxFormatError, match=f"'{'x' * min(length, 40)}' is not the text of: loss"):
        codecs.decode(empty(BENCHED) + line)


@pytest.mark.parametrize("rows", [0, 1, 49, 50, 51, 101])
def test_blocks_of_rows_follow_one_another(rows: int) -> None:
    table = Table.from_rows(BENCHED, [[f"{i:032x}", i / 8] for i in range(rows)])
    assert codecs.decode(b"".join(codecs.encode(table, "csv")[0])).rows() == table.rows()


def test_a_body_of_nothing_but_the_shortest_lines_is_read_to_its_end() -> None:
    header = Header("benchmarking", ("latency", "model_hash"), device="x")
    with pytest.raises(BloxFormatError, match="row 0, column model_hash"):
        codecs.decode(empty(header) + b"1,\r\n" * 9)


VECTOR = "[[[1], [2, 1, 0, 1]], [[0], [0, 0, 1, 0]], [[2], [1, 1, 1, 1]]]"
CELLS = [[[1], [2, 1, 0, 1]], [[0], [0, 0, 1, 0]], [[2], [1, 1, 1, 1]]]
INFO_HEAD = codecs.encode(Table.from_rows(Header("static", tuple(INFO)), []), "csv")[0][0]


def info(params: str, flops: str, vector: str, before: int = 0) -> bytes:
    """A file with one line of texts, and lines before it as they usually are."""
    usual = "".join(f'{i:032x},17,4,"{VECTOR}"\r\n' for i in range(1, before + 1))
    return INFO_HEAD + usual.encode() + f"{'ab' * 16},{params},{flops},{vector}\r\n".encode()


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(
    "text", ["0", "7", "007", "9007199254740991", "000000000000000007", "0000000000000000007"]
)
def test_whole_numbers_are_read_however_long_they_are(text: str, before: int) -> None:
    rows = codecs.decode(info(text, "1", f'"{VECTOR}"', before)).rows()
    assert rows[-1] == ["ab" * 16, int(text), 1, CELLS]
    assert [row[1] for row in rows[:-1]] == [17] * before


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "1_0", "١", "/", ":", "9" * 20, "one", "nan"]
)
def test_what_is_no_whole_number_is_told_with_its_place(text: str, before: int) -> None:
    for file in (info(text, "1", f'"{VECTOR}"', before), info("1", text, f'"{VECTOR}"', before)):
        with pytest.raises(BloxFormatError, match=rf"row {before}, column (params|flops)"):
            codecs.decode(file)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(
    "text",
    [
        VECTOR,
        VECTOR.replace(" ", ""),
        VECTOR.replace(",", " ,"),
        str(CELLS).replace("[1, 1, 1, 1]", "[1,1, 1,1]"),
    ],
)
def test_a_vector_is_read_however_its_list_is_spelled(text: str, before: int) -> None:
    rows = codecs.decode(info("1", "2", f'"{text}"', before)).rows()
    assert rows[-1] == ["ab" * 16, 1, 2, CELLS]
    assert all(row[3] == CELLS for row in rows)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize(
    "text",
    [VECTOR.replace("[1]", "[3]"), VECTOR.replace("2, 1, 0, 1", "2, 2, 0, 1"), VECTOR.replace("2, 1, 0, 1", "2, 1, 0, 9"),
     VECTOR.replace("[1]", "[/]"), VECTOR.replace("[1]", "[:]"), VECTOR.replace("[1]", "(1)"), VECTOR[:-1] + "x",
     VECTOR.replace("[[2]", "[[a]"), "x" * len(VECTOR), VECTOR.replace(", [[0]", "; [[0]")],
)  # fmt: skip
def test_a_vector_of_other_letters_or_numbers_is_told_with_its_place(text: str, before: int) -> None:
    with pytest.raises(BloxFormatError, match=f"row {before}, column arch_vec"):
        codecs.decode(info("1", "2", f'"{text}"', before))

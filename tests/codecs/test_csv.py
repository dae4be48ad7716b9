"""Lines of CSV: numbers however they are spelled, and what is told of a bad line."""

from __future__ import annotations

import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table
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
        (b"%b,1_5\r\n", "row 0, column latency: '1_5' is not the text of a loss"),
        (b"%b, 1.5\r\n", "column latency"),
        (b"%b,1.5,2\r\n", "3 fields"),
        (b"%b\r\n", "1 fields"),
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
        (b'%b,"1.5', "the line does not end, or a quote stands alone", 1, True),
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
        codecs.decode(data, "bad.csv")
    error = caught.value
    assert (error.source, error.problem, error.row) == ("bad.csv", problem, row)
    if offset:
        assert error.offset is not None
        assert len(first) <= error.offset <= len(first) + len(tail.replace(b"%b", b"ab" * 16))
    else:
        assert error.offset is None

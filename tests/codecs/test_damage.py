"""Damaged files of any format: an error with file and place, or the correct data; never a crash or a wrong value."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Table
from bloxdb.errors import BloxFormatError
from tests.codecs.strategies import SMALL, few_rows


@pytest.mark.parametrize("stem", SMALL)
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_a_file_cut_anywhere_is_an_error_or_a_true_beginning(golden: Path, stem: str, name: str) -> None:
    table = few_rows(golden, stem)
    data = b"".join(codecs.encode(table, name)[0])
    accepted = 0
    for size in range(len(data)):
        try:
            rows = codecs.decode(data[:size], source="cut").rows()
        except BloxFormatError as error:
            assert str(error).startswith("cut")
            continue
        accepted += 1
        # only CSV, which does not count its rows, may be cut: between two lines
        assert name == "csv"
        assert data[:size].endswith((b"\r\n", b"---\n"))
        assert rows == table.rows()[: len(rows)]
    assert accepted == (3 if name == "csv" else 0)


@pytest.mark.parametrize("stem", SMALL)
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_any_flipped_bytes_give_an_error_or_a_sound_table(golden: Path, stem: str, name: str) -> None:
    data = b"".join(codecs.encode(few_rows(golden, stem), name)[0])
    draw = random.Random(11)
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 8])):
            damaged[draw.randrange(len(data))] = draw.randrange(256)
        try:
            table = codecs.decode(bytes(damaged), source="flipped")
        except BloxFormatError as error:
            assert str(error).startswith("flipped")
        else:
            assert Table.from_rows(table.header, table.rows()).difference(table) is None


def test_bytes_after_the_body_are_found(golden: Path) -> None:
    for name in ("blox", "pickle"):
        data = b"".join(codecs.encode(few_rows(golden, "blox-info"), name)[0])
        with pytest.raises(BloxFormatError, match="1 byte follows"):
            codecs.decode(data + b"\0")

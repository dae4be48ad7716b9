"""What the kernels write of rows is, byte for byte, what the standard library writes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table, _csv
from bloxdb.codecs.columns import BASE, BENCH, ENV, INFO
from bloxdb.codecs.rows import FLOAT, HASH, INT, LIST, FastRows
from tests.codecs.reference import as_csv, pickled, written
from tests.codecs.strategies import base, tables


@settings(max_examples=150)
@given(tables())
def test_any_table_is_written_as_the_standard_library_does(table: Table) -> None:
    assert written(table, "pickle") == pickled(table)
    assert written(table, "csv") == as_csv(table)


def test_whole_numbers_of_every_size_are_written_alike() -> None:
    times = [n for bits in range(53) for n in ((1 << bits) - 1, 1 << bits)] + [2**53 - 1]
    table = base(1, len(times), times)
    assert written(table, "pickle") == pickled(table)
    assert written(table, "csv") == as_csv(table)
    for name in ("pickle", "csv"):
        assert codecs.decode(b"".join(codecs.encode(table, name)[0])).difference(table) is None


def test_every_small_loss_is_written_and_read_alike() -> None:
    header = Header("training", ("model_hash", "train_loss"), seed=0, epochs=1200, dataset="d", part="ext")
    near = np.arange(1200)
    powers = 10 ** np.arange(1, 10)
    large = np.resize(np.concatenate([powers, powers - 1, powers + 1, [0, 2**31 - 1]]), 1200)
    columns = {
        "model_hash": np.arange(32, dtype=np.uint8).reshape(2, 16),
        "train_loss": np.stack([near, large]).astype(np.int32),
    }
    table = Table(header, columns)
    assert written(table, "csv") == as_csv(table)
    for name in ("pickle", "csv"):
        back = codecs.decode(b"".join(codecs.encode(table, name)[0]))
        assert back["train_loss"].dtype == np.int32
        assert back.difference(table) is None


@pytest.mark.parametrize("decimals", range(1, 7))
def test_a_line_has_numbers_of_any_decimals_that_are_kept(decimals: int) -> None:
    stored = [0, 1, 9, 10, 12, 99, 100, 101, 123_456_789, 10**decimals, 10**decimals + 1, 2**31 - 1]
    stored += [-value for value in stored[1:]]
    layout = np.array([(HASH, 1, 0), *[(FLOAT, 1, decimals)] * len(stored)])
    key, none = np.zeros((1, 16), np.uint8), np.zeros((1, 0), np.int64)
    line = bytes(_csv.write_rows(layout, key, none, np.array([stored], np.int32))).decode()
    assert line.rstrip().split(",")[1:] == [repr(value / 10**decimals) for value in stored]


@pytest.mark.parametrize(
    ("header", "layout"),
    [
        (Header("static", INFO[:-1]), [(HASH, 1, 0), (INT, 1, 0), (INT, 1, 0)]),
        (
            Header("training", BASE, seed=1, epochs=7, dataset="d", part="base"),
            [(HASH, 1, 0), (LIST, 7, 3), (FLOAT, 1, 3), (INT, 1, 0)],
        ),
        (Header("benchmarking", BENCH, device="a"), [(HASH, 1, 0), (FLOAT, 1, 6)]),
    ],
)
def test_the_kernels_write_all_tables_of_hashes_and_numbers(
    header: Header, layout: list[tuple[int, int, int]]
) -> None:
    rows = FastRows.of(Table.from_rows(header, []))
    assert rows is not None
    assert [tuple(row) for row in rows.layout.tolist()] == layout


@pytest.mark.parametrize("header", [Header("static", INFO), Header("env", ENV, seed=1)])
def test_tables_of_texts_and_vectors_are_not_theirs(header: Header) -> None:
    assert FastRows.of(Table.from_rows(header, [])) is None

"""What the kernels write is, byte for byte, what the standard library writes of the same rows."""

from __future__ import annotations

import csv
import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE
from bloxdb.errors import BloxFormatError
from tests.codecs.strategies import tables


def pickled(table: Table) -> bytes:
    return pickle.dumps(table.rows(), protocol=4)


def as_csv(table: Table) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table.rows())
    return out.getvalue().encode()


def written(table: Table, name: str) -> bytes:
    return b"".join(codecs.encode(table, name)[0][1:])


def base(epochs: int, rows: int, times: list[int] | None = None) -> Table:
    header = Header("training", BASE, seed=0, epochs=epochs, dataset="d", part="base")
    draw = np.random.default_rng([epochs, rows])
    columns = {
        "model_hash": draw.integers(0, 256, (rows, 16)).astype(np.uint8),
        "val_top1": draw.integers(0, 100_001, (rows, epochs)).astype(np.int32),
        "test_top1": draw.integers(0, 100_001, rows).astype(np.int32),
        "train_time_s": np.resize(np.array(times or [1], dtype=np.int64), rows),
    }
    return Table(header, columns)


@settings(max_examples=150)
@given(tables())
def test_any_table_is_written_as_the_standard_library_does(table: Table) -> None:
    assert written(table, "pickle") == pickled(table)
    assert written(table, "csv") == as_csv(table)


@pytest.mark.parametrize(
    ("epochs", "rows"),
    [(1, 1), (1, 2), (2, 999), (2, 1000), (2, 1001), (1, 2500), (999, 3), (1000, 3), (1001, 3), (2500, 30)],
)
def test_batches_and_frames_end_where_the_pickler_ends_them(epochs: int, rows: int) -> None:
    table = base(epochs, rows)
    assert written(table, "pickle") == pickled(table)
    assert codecs.decode(b"".join(codecs.encode(table, "pickle")[0])).difference(table) is None


def test_whole_numbers_of_every_size_are_written_alike() -> None:
    times = [n for bits in range(63) for n in ((1 << bits) - 1, 1 << bits)] + [2**63 - 1]
    table = base(1, len(times), times)
    assert written(table, "pickle") == pickled(table)
    assert written(table, "csv") == as_csv(table)
    for name in ("pickle", "csv"):
        assert codecs.decode(b"".join(codecs.encode(table, name)[0])).difference(table) is None


def test_every_small_loss_is_written_and_read_alike() -> None:
    header = Header("training", ("model_hash", "train_loss"), seed=0, epochs=1200, dataset="d", part="ext")
    near = np.arange(-600, 600)
    powers = 10 ** np.arange(1, 10)
    large = np.resize(np.concatenate([powers, powers - 1, powers + 1, [2**31 - 1, 1 - 2**31]]), 1200)
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


@pytest.mark.parametrize("name", ["pickle", "csv", "blox"])
def test_a_text_that_is_not_unicode_is_refused(name: str) -> None:
    table = Table.from_rows(Header("env", ("model_hash", "gpu"), seed=0), [["0" * 32, "\ud800"]])
    with pytest.raises(BloxFormatError, match="UTF-8"):
        codecs.encode(table, name)


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

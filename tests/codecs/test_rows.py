"""What the kernels write of rows is, byte for byte, what the standard library writes of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from tests.codecs.reference import as_csv, pickled, written
from tests.codecs.strategies import base, tables


@settings(max_examples=150)
@given(tables())
def test_any_table_is_written_as_the_standard_library_does(table: Table) -> None:
    assert written(table, "pickle") == pickled(table)
    assert written(table, "csv") == as_csv(table)


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

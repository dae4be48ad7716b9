"""The table between files and the database: what it refuses, and how tables differ."""

from __future__ import annotations

import numpy as np
import pytest

from bloxdb.codecs import Header, Table
from bloxdb.errors import BloxFormatError


def test_two_rows_of_one_architecture_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    with pytest.raises(BloxFormatError, match=f"row 2.*{'a0' * 16} has two rows"):
        Table.from_rows(header, [["a0" * 16, 1], ["b0" * 16, 1], ["a0" * 16, 1]])


@pytest.mark.parametrize("short", ["flops", "model_hash"])
def test_columns_of_different_lengths_are_refused(short: str) -> None:
    columns = {"model_hash": np.arange(48, dtype=np.uint8).reshape(3, 16), "flops": np.arange(3)}
    header = Header("static", ("model_hash", "flops"))
    assert len(Table(header, columns)) == 3
    columns[short] = columns[short][:2]
    with pytest.raises(BloxFormatError, match=f"different lengths: .*'{short}': 2"):
        Table(header, columns)


def test_columns_that_the_header_does_not_name_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    keys = np.zeros((1, 16), dtype=np.uint8)
    for columns in ({"model_hash": keys}, {"model_hash": keys, "flops": np.zeros(1, int), "params": keys}):
        with pytest.raises(BloxFormatError, match="not those that the header names"):
            Table(header, columns)

"""The table between files and the database: what it refuses, and how tables differ."""

from __future__ import annotations

import pytest

from bloxdb.codecs import Header, Table
from bloxdb.errors import BloxFormatError


def test_two_rows_of_one_architecture_are_refused() -> None:
    header = Header("static", ("model_hash", "flops"))
    with pytest.raises(BloxFormatError, match=f"row 2.*{'a0' * 16} has two rows"):
        Table.from_rows(header, [["a0" * 16, 1], ["b0" * 16, 1], ["a0" * 16, 1]])

"""Hostile data through every format."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from bloxdb import codecs
from bloxdb.codecs import Table
from tests.codecs.reference import same
from tests.codecs.strategies import tables

pytestmark = pytest.mark.slow


@settings(max_examples=150)
@given(tables())
@pytest.mark.parametrize("name", codecs.FORMATS)
def test_any_table_survives_any_format(name: str, table: Table) -> None:
    parts, _ = codecs.encode(table, name)
    back = codecs.decode(b"".join(parts))
    assert back.header == table.header
    assert same(back.rows(), table.rows())
    assert back.difference(table) is None

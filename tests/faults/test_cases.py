"""The harness sees every value: whatever is changed in a database, it is not as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Integer, Numeric

from bloxdb import Database
from bloxdb.db.schema import Base
from tests.faults.cases import CLOCKS, NUMBERED, Numbers, content, rows, tables


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_a_change_of_any_value_is_seen(table: str, tiny_db: Database) -> None:
    of = Base.metadata.tables[table]
    key = ", ".join(column.name for column in of.primary_key)
    with closing(sqlite3.connect(tiny_db.path or "", isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert table in tables(connection)
        numbers: Numbers = {}
        for name in NUMBERED:
            rows(connection, name, numbers)
        before = rows(connection, table, numbers)
        for column in of.columns:
            if (
                column.computed is not None
                or column.name in CLOCKS
                or (table in NUMBERED and column.name == "id")
            ):
                continue
            is_number = isinstance(column.type, Integer | Numeric)
            other = (
                f"coalesce({column.name}, 0) + 1000003"
                if is_number
                else f"coalesce({column.name}, '') || 'x'"
            )
            connection.execute("BEGIN")
            connection.execute(
                f"UPDATE {table} SET {column.name} = {other} "
                f"WHERE ({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)"
            )
            assert rows(connection, table, numbers) != before, column.name
            connection.execute("ROLLBACK")
        assert rows(connection, table, numbers) == before


def test_numbers_of_ours_and_clocks_are_not_seen(tiny_db: Database) -> None:
    assert tiny_db.path is not None
    before = content(tiny_db.path)
    with tiny_db.bulk_transaction() as session:
        connection = session.connection()
        for change in (
            "UPDATE runs SET id = id + 100, started_at = CURRENT_TIMESTAMP, worker = 'HOST:1'",
            "UPDATE epochs SET run_id = run_id + 100",
            "UPDATE recipes SET id = id + 7",
            "UPDATE runs SET recipe_id = recipe_id + 7",
        ):
            connection.exec_driver_sql(change)
    assert content(tiny_db.path) == before

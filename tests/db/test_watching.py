"""Looking on while a statement of SQLite runs."""

from __future__ import annotations

import gc
import sys
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bloxdb import Database
from bloxdb.db.access import in_one_state
from bloxdb.db.watching import watched

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT sum(i) FROM n"


def total(connection: Connection) -> Any:
    return connection.exec_driver_sql(LONG).scalar_one()


def test_it_is_told_as_often_as_the_statement_is_long(empty_db: Database) -> None:
    def told(steps: int) -> int:
        times: list[int] = []
        with empty_db.autocommit() as connection, watched(connection, lambda: times.append(1), steps):
            assert total(connection) == 200_010_000
        return len(times)

    often = told(1_000)
    assert often >= 100
    assert often // 10 - 1 <= told(10_000) <= often // 10 + 1


@pytest.mark.parametrize("error", [KeyboardInterrupt("now"), ZeroDivisionError("odd"), SystemExit(3)])
def test_what_is_raised_stops_the_statement_and_comes_out_itself(
    error: BaseException, empty_db: Database
) -> None:
    times = []

    def tell() -> None:
        times.append(1)
        if len(times) == 3:
            raise error

    with empty_db.autocommit() as connection:
        with pytest.raises(type(error)) as caught, watched(connection, tell, 1_000):
            total(connection)
        assert caught.value is error
        assert len(times) == 3
        assert total(connection) == 200_010_000  # nobody looks any more
        assert len(times) == 3


def test_a_statement_that_another_interrupts_says_so(empty_db: Database) -> None:
    with empty_db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        with (
            pytest.raises(OperationalError, match="interrupted"),
            watched(connection, driver.interrupt, 1_000),
        ):
            total(connection)


def test_another_error_is_left_as_it_is(empty_db: Database) -> None:
    with (
        empty_db.engine.connect() as connection,
        pytest.raises(OperationalError, match="no such table"),
        watched(connection, lambda: None, 1_000),
    ):
        connection.exec_driver_sql("SELECT * FROM no_table")


def test_each_statement_ends_by_its_own_error(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        for given in ("one", "two"):
            tell = partial(int, given)
            with pytest.raises(ValueError, match=given), watched(connection, tell, 1_000):
                total(connection)


def test_who_looks_up_keeps_no_connection_alive_and_goes_without_a_word(empty_file: Path) -> None:
    told: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        connection = in_one_state(empty_file)
        lookout, alive = ref(connection.lookout), ref(connection)
        connection.execute("SELECT 1").fetchall()
        connection.close()
        del connection
        assert alive() is None
        gc.collect()
        assert lookout() is None
    finally:
        sys.unraisablehook = before
    assert told == []

"""Looking on while a statement of SQLite runs."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

import bloxdb
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


def counting(to: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) "


FOR_LONG = counting(100_000_000)
"""Would take the better part of a minute."""


class OddError(Exception):
    """What somebody's own handler of signals raises."""


@pytest.fixture
def odd_alarm() -> Iterator[Callable[[], object]]:
    """What has a signal come soon, whose handler raises `OddError`."""

    def end(*_: object) -> None:
        raise OddError

    before = signal.signal(signal.SIGALRM, end)
    yield partial(signal.setitimer, signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def by_rows(db: Database) -> None:
    db.rows(FOR_LONG + "SELECT sum(i) FROM n")


def by_rows_of(db: Database) -> None:
    db.rows_of(text(FOR_LONG + "SELECT sum(i) FROM n"))


def by_fetching(db: Database) -> None:
    with db.snapshot() as session:
        session.execute(text(FOR_LONG + "SELECT i FROM n WHERE i < 0 OR i > 99999999")).fetchone()


def by_fetching_many(db: Database) -> None:
    with db.snapshot() as session:
        assert session.execute(text("SELECT 1")).fetchmany(1)
        found = session.execute(text(FOR_LONG + "SELECT i FROM n WHERE i < 3 OR i > 99999999"))
        found.fetchmany(3)


def by_writing(db: Database) -> None:
    with db.transaction() as session:
        session.add(bloxdb.Device(name="lost"))
        session.flush()
        session.execute(
            text("INSERT INTO devices (name) " + FOR_LONG + "SELECT 'd' || i FROM n WHERE i > 99999990")
        )


def by_many_writes(db: Database) -> None:
    with db.transaction() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        insert = f"INSERT INTO devices (name) {counting(100_000)} SELECT ? || i FROM n WHERE i > 99999"
        driver.cursor().executemany(insert, [(f"d{number}-",) for number in range(5_000)])


def by_the_driver(db: Database) -> None:
    assert db.path is not None
    with closing(in_one_state(db.path)) as connection:
        for _ in connection.execute(FOR_LONG + "SELECT i FROM n WHERE i < 3 OR i > 99999999"):
            pass


@pytest.mark.parametrize(
    "ask",
    [by_rows, by_rows_of, by_fetching, by_fetching_many, by_writing, by_many_writes, by_the_driver],
)
def test_what_a_signal_raises_stops_what_goes_on_and_nothing_else(
    ask: Callable[[Database], None], empty_db: Database, odd_alarm: Callable[[], object]
) -> None:
    start = time.monotonic()
    odd_alarm()
    with pytest.raises(OddError):
        ask(empty_db)
    assert time.monotonic() - start < 5
    assert empty_db.rows("SELECT count(*) AS n FROM devices") == [{"n": 0}]
    with empty_db.transaction() as session:
        session.add(bloxdb.Device(name="kept"))
    assert empty_db.rows("SELECT name FROM devices") == [{"name": "kept"}]


def test_each_statement_ends_by_its_own_error(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        for given in ("one", "two"):
            tell = partial(int, given)
            with pytest.raises(ValueError, match=given), watched(connection, tell, 1_000):
                total(connection)


def test_signals_are_seen_again_after_somebody_was_told(
    empty_db: Database, odd_alarm: Callable[[], object]
) -> None:
    with empty_db.autocommit() as connection:
        with watched(connection, lambda: None, 1_000):
            total(connection)
        driver: Any = connection.connection.driver_connection
        odd_alarm()
        with pytest.raises(OddError):
            driver.execute(FOR_LONG + "SELECT sum(i) FROM n").fetchone()


def test_a_handler_that_raises_nothing_stops_nothing(empty_db: Database) -> None:
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        (row,) = empty_db.rows(counting(5_000_000) + "SELECT sum(i) AS total FROM n")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(seen) == 1
    assert row == {"total": 5_000_000 * 5_000_001 // 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_whose_query_would_last(number: signal.Signals, empty_file: Path) -> None:
    query = FOR_LONG + "SELECT sum(i) FROM n"
    with subprocess.Popen(
        [sys.executable, "-c", "from bloxdb.cli import main; main()", "sql", query, "--db", str(empty_file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        time.sleep(2)
        process.send_signal(number)
        try:
            output, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    assert output == ""
    assert errors == ("\nAborted!\n" if number == signal.SIGINT else "")


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

"""What a handler of signals raises stops a statement, whatever it is, and the database works on, on each engine."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.db.access import in_one_state
from bloxdb.db.watching import watched
from tests.conftest import POSTGRESQL
from tests.servers import empty_on_server

ENGINES = ["sqlite", *(["postgresql"] if POSTGRESQL else [])]


def counting(to: int) -> str:
    """The numbers from 1 on, as `n`."""
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) "


FOR_LONG = counting(100_000_000)
"""Would take the better part of a minute."""


class OddError(Exception):
    """What somebody's own handler of signals raises."""


@pytest.fixture(params=[OddError, KeyboardInterrupt])
def raised(request: pytest.FixtureRequest) -> Iterator[type[BaseException]]:
    """What the handler of SIGALRM raises."""

    def end(*_: object) -> None:
        raise request.param

    before = signal.signal(signal.SIGALRM, end)
    yield request.param
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


soon = partial(signal.setitimer, signal.ITIMER_REAL, 0.2)
"""Has that signal come."""


@pytest.fixture(scope="module")
def on_server() -> Iterator[Database]:
    with empty_on_server("interrupted") as url, bloxdb.create(url, current=False) as db:
        yield db


@pytest.fixture(params=ENGINES)
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database without devices."""
    if request.param == "sqlite":
        yield request.getfixturevalue("empty_db")
        return
    made = request.getfixturevalue("on_server")
    yield made
    with made.transaction() as session:
        session.execute(text("DELETE FROM devices"))


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


def by_autocommit(db: Database) -> None:
    with db.autocommit() as connection:
        connection.execute(text(FOR_LONG + "SELECT sum(i) FROM n"))


def by_much_writing(db: Database) -> None:
    with db.bulk_transaction() as session:
        session.add(bloxdb.Device(name="lost"))
        session.flush()
        session.execute(text(FOR_LONG + "SELECT sum(i) FROM n"))


def in_transaction(db: Database) -> None:
    with db.transaction() as session:
        session.execute(text("UPDATE devices SET name = name"))


WAYS = [by_rows, by_rows_of, by_fetching, by_fetching_many, by_writing, by_autocommit, by_much_writing]


@pytest.mark.parametrize("ask", WAYS)
def test_what_a_signal_raises_stops_what_goes_on_and_nothing_else(
    ask: Callable[[Database], None], db: Database, raised: type[BaseException]
) -> None:
    (found,) = db.rows_of(text("SELECT cell FROM blocks WHERE id = 7"))
    arch = bloxdb.Arch.get(7, db)
    start = time.monotonic()
    soon()
    with pytest.raises(raised):
        ask(db)
    assert time.monotonic() - start < 5
    assert db.rows("SELECT count(*) AS n FROM devices") == [{"n": 0}]
    assert db.rows_of(text("SELECT cell FROM blocks WHERE id = 7")) == [found]
    assert arch.runs == []  # loaded now
    with db.snapshot() as session:
        assert session.scalar(text("SELECT count(*) FROM devices")) == 0
    with db.transaction() as session:
        session.add(bloxdb.Device(name="kept"))
    assert db.rows("SELECT name FROM devices") == [{"name": "kept"}]


def test_many_small_statements_are_stopped_too(empty_db: Database, raised: type[BaseException]) -> None:
    insert = f"INSERT INTO devices (name) {counting(100_000)} SELECT ? || i FROM n WHERE i > 99999"

    def write() -> None:
        with empty_db.transaction() as session:
            driver = session.connection().connection.driver_connection
            assert driver is not None
            driver.cursor().executemany(insert, [(f"d{number}-",) for number in range(5_000)])

    soon()
    with pytest.raises(raised):
        write()
    assert empty_db.rows("SELECT count(*) AS n FROM devices") == [{"n": 0}]


def test_signals_are_seen_again_after_somebody_was_told(
    empty_db: Database, raised: type[BaseException]
) -> None:
    with empty_db.autocommit() as connection:
        with watched(connection, lambda: None, 1_000):
            connection.exec_driver_sql(counting(20_000) + "SELECT sum(i) FROM n")
        driver = connection.connection.driver_connection
        assert driver is not None
        soon()
        with pytest.raises(raised):
            driver.execute(FOR_LONG + "SELECT sum(i) FROM n").fetchone()


def test_rows_of_the_driver_itself_are_stopped_too(empty_file: Path, raised: type[BaseException]) -> None:
    with closing(in_one_state(empty_file)) as connection:
        soon()
        with pytest.raises(raised):
            list(connection.execute(FOR_LONG + "SELECT i FROM n WHERE i < 3 OR i > 99999999"))
        assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (45,)


ASKED: list[Callable[[Database], object]] = [
    lambda db: bloxdb.Arch.get(7, db).runs,
    lambda db: db.rows("SELECT count(*) FROM archs"),
    lambda db: db.rows_of(text("SELECT count(*) FROM archs")),
    lambda db: bloxdb.to_arrow("blocks", db),
    in_transaction,
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
def test_signals_at_any_moment_leave_a_database_that_works(db: Database, raised: type[BaseException]) -> None:
    draw, came = random.Random(5), 0
    for ask in ASKED:  # what is made once, as SQLAlchemy's mappers, is there
        ask(db)
    for number in range(60):
        ask = ASKED[number % len(ASKED)]
        time.sleep(draw.choice([0, 0.12]))  # a server's connection is looked at
        try:
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-4, 4e-3))
            for _ in range(5):
                ask(db)
            time.sleep(0.01)
        except (raised, Exception):  # or what SQLAlchemy says when its own tidying was stopped
            came += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for again in ASKED:
            again(db)
    assert came >= 40  # a finalizer swallows what is raised in it


@pytest.mark.skipif(not POSTGRESQL, reason="a server goes on with what nobody waits for")
def test_a_server_stops_too(on_server: Database, raised: type[BaseException]) -> None:
    for ask in (by_rows, by_rows_of):
        soon()
        with pytest.raises(raised):
            ask(on_server)
    going_on = (
        "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'WITH RECURSIVE n(i)%'"
    )
    end = time.monotonic() + 10
    while (left := on_server.rows(going_on)) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []


def test_two_signals_at_once_stop_one_statement(empty_db: Database) -> None:
    def raising(error: type[Exception]) -> Callable[..., None]:
        def end(*_: object) -> None:
            raise error

        return end

    def send() -> None:
        time.sleep(0.3)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)

    errors = {signal.SIGUSR1: OddError, signal.SIGUSR2: ArithmeticError}
    before = {number: signal.signal(number, raising(error)) for number, error in errors.items()}
    sender = Thread(target=send)
    sender.start()
    try:
        with pytest.raises((OddError, ArithmeticError)):
            by_rows(empty_db)
    finally:
        with suppress(OddError, ArithmeticError):  # the second one, if it came late
            sender.join()
        for number, handler in before.items():
            signal.signal(number, handler)
    for _ in range(3):
        assert empty_db.rows(counting(3_000_000) + "SELECT count(*) AS n FROM n") == [{"n": 3_000_000}]


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


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT,),
        (signal.SIGTERM,),
        (signal.SIGHUP,),
        (signal.SIGTERM, signal.SIGHUP),
        (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP),
    ],
)
def test_signals_end_a_command_whose_query_would_last(
    numbers: tuple[signal.Signals, ...], empty_file: Path
) -> None:
    query = FOR_LONG + "SELECT sum(i) FROM n"
    with subprocess.Popen(
        [sys.executable, "-c", "from bloxdb.cli import main; main()", "sql", query, "--db", str(empty_file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        opened = Path(f"/proc/{process.pid}/fd")
        while not any(one.readlink() == empty_file for one in opened.iterdir() if one.is_symlink()):
            time.sleep(0.05)
        time.sleep(0.5)
        for number in numbers:
            process.send_signal(number)
        try:
            output, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode in ([1] if signal.SIGINT in numbers else [-number for number in numbers])
    assert output == ""
    assert errors == ("\nAborted!\n" if signal.SIGINT in numbers else "")

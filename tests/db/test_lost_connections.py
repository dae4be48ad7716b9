"""A server that ends connections, as one that is started anew does: the next question is answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import locate
from bloxdb.runs.status import overview
from tests.conftest import POSTGRESQL
from tests.runs.helpers import claim, finish, queue_of
from tests.servers import empty_on_server


@pytest.fixture(scope="module")
def server() -> Iterator[Engine]:
    assert POSTGRESQL is not None
    engine = create_engine(locate(POSTGRESQL), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def db() -> Iterator[Database]:
    with empty_on_server("lost") as url, bloxdb.create(url, current=False) as made:
        record = claim(queue_of(made, [5, 6, 7]))
        assert record is not None
        finish(record)
        yield made


def end_all(server: Engine) -> int:
    """Have the server end all connections; how many there were."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'lost'"
    with server.connect() as connection:
        return int(connection.scalar(text(query)) or 0)


def in_snapshot(db: Database) -> object:
    with db.snapshot() as session:
        return session.scalar(text("SELECT count(*) FROM archs"))


def in_transaction(db: Database) -> object:
    with db.transaction() as session:
        return session.scalar(text("UPDATE runs SET seed = seed RETURNING 1"))


def in_autocommit(db: Database) -> object:
    with db.autocommit() as connection:
        return connection.scalar(text("SELECT count(*) FROM archs"))


ENTRIES: dict[str, Callable[[Database], object]] = {
    "rows": lambda db: db.rows("SELECT count(*) AS n FROM archs"),
    "rows_of": lambda db: db.rows_of(text("SELECT count(*) AS n FROM archs")),
    "snapshot": in_snapshot,
    "transaction": in_transaction,
    "autocommit": in_autocommit,
    "top": lambda db: bloxdb.top(3, db),
    "get": lambda db: bloxdb.Arch.get(7, db).hash,
    "a lazy attribute": lambda db: len(bloxdb.Arch.get(7, db).runs),
    "overview": overview,
    "a value of a data set": lambda db: bloxdb.from_database(db).val_acc(5),
    "to_arrow": lambda db: bloxdb.to_arrow("runs", db).num_rows,
}


@pytest.mark.parametrize("name", ENTRIES)
def test_whoever_asks_later_notices_nothing(name: str, db: Database, server: Engine) -> None:
    expected = {entry: ask(db) for entry, ask in ENTRIES.items()}
    assert end_all(server) >= 1
    time.sleep(0.2)
    assert ENTRIES[name](db) == expected[name]
    assert {entry: ask(db) for entry, ask in ENTRIES.items()} == expected


@pytest.mark.parametrize("name", ENTRIES)
def test_whoever_asks_at_that_moment_is_told_at_most_once(name: str, db: Database, server: Engine) -> None:
    time.sleep(0.2)  # after the test before
    expected = ENTRIES[name](db)
    assert end_all(server) >= 1
    try:
        assert ENTRIES[name](db) == expected
    except bloxdb.DatabaseError as error:
        assert "the connection to the server was lost (" in str(error)
        assert str(error).endswith("; ask again")
    assert ENTRIES[name](db) == expected


def test_a_transaction_is_lost_as_a_whole(db: Database, server: Engine) -> None:
    def write() -> None:
        with db.transaction() as session:
            session.add(bloxdb.Device(name="lost"))
            session.flush()
            end_all(server)
            session.add(bloxdb.Device(name="too"))

    with pytest.raises(bloxdb.DatabaseError, match="the connection to the server was lost"):
        write()
    assert db.rows("SELECT count(*) AS n FROM devices") == [{"n": 0}]
    with db.transaction() as session:
        session.add(bloxdb.Device(name="kept"))
    assert db.rows("SELECT name FROM devices") == [{"name": "kept"}]


def test_an_object_that_was_loaded_before_goes_on(db: Database, server: Engine) -> None:
    arch = bloxdb.Arch.get(6, db)
    end_all(server)
    time.sleep(0.2)
    assert [run.status for run in arch.runs] == ["pending"]

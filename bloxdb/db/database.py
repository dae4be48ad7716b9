"""Databases that are open: sessions, snapshots, rows; and which of them is asked where none is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from bloxdb.db import passwords, revisions
from bloxdb.db.access import check_access, is_on_read_only_medium, refusal
from bloxdb.db.connection import check_file, locate, path_of
from bloxdb.db.connections import CLOSED, HALF_MADE, Connections
from bloxdb.db.dialects import engines_of
from bloxdb.db.opened import Currents, close_at_end, no_database
from bloxdb.db.reading import Answer, Stream, query_of
from bloxdb.db.waiting import at_most
from bloxdb.errors import DatabaseError, DatabaseNotFoundError, NotADatabaseError, one_line
from bloxdb.writing import workspace


class Database:
    """An open database, as `bloxdb.open` and `bloxdb.create` make one; ``with`` closes it, as `close` does.

    Parameters
    ----------
    url
        The SQLAlchemy URL of the database, a file's with an absolute path.
    read_only
        Refuse writing.
    new
        The file that the URL's will become when it is whole; None for one that is there.

    Attributes
    ----------
    url, read_only
        As given.
    engine
        The SQLAlchemy engine, for your own statements. On SQLite each of its transactions has the lock of
        who writes from its first statement on, so for reading take `rows`, `reader` or `snapshot`.
    engines
        What its kind of engine does in its own way.
    """

    def __init__(self, url: URL, *, read_only: bool = False, new: Path | None = None) -> None:
        self.url = url
        self.read_only = read_only
        self._new = new
        self._connections = Connections(url, read_only=read_only, is_new=new is not None)
        self.engine = self._connections.engine
        self.engines = engines_of(url)
        # what was loaded can be read after the end of a transaction
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        close_at_end(self, self._connections)

    def __repr__(self) -> str:
        return f"<Database {self.name}{', read only' if self.read_only else ''}>"

    def __enter__(self) -> Database:
        self._check_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle has the address only; `pickle.loads` opens the database where it runs."""
        url = passwords.for_a_pickle(self.url, self.name)
        return _reopen, (*url[:-1], dict(url.query), self.read_only)

    def __copy__(self) -> Database:
        """The same database, opened once more."""
        return open_url(self.url, read_only=self.read_only, current=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Database:
        """The same as `copy.copy`."""
        return self.__copy__()

    @property
    def name(self) -> str:
        """The path, or the URL with stars for its passwords."""
        return passwords.hidden(self.url) if self.path is None else str(self._new or self.path)

    @property
    def path(self) -> Path | None:
        """The file, as an absolute path; None for a server."""
        return path_of(self.url)

    @property
    def reader(self) -> Session:
        """This thread's session for reading; it holds no transaction, so it never sees old data twice."""
        self._check_open()
        return self._connections.reader()

    @contextmanager
    def transaction(self, *, wait: float | None = None) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back after an error.

        Parameters
        ----------
        wait
            How many seconds to wait for an SQLite file that another has locked; no matter how many if None.

        Yields
        ------
        Session
            A session of SQLAlchemy; a `DatabaseError` where the engine refuses, as on a full disk.
        """
        self._check_writable()
        with self._translated(), at_most(wait), self._write.begin() as session:
            yield session

    @contextmanager
    def bulk_transaction(self) -> Iterator[Session]:
        """Like `transaction`, for very many rows: foreign keys are not checked, other files can be attached.

        Nothing is written twice where this is the only connection: the journal is then not a WAL.

        Yields
        ------
        Session
            A session of SQLAlchemy.

        Raises
        ------
        DatabaseError
            The engine refused, or the database is open read only.
        """
        self._check_writable()
        with self._translated(), self._connections.bulk() as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection whose statements are each a transaction of their own.

        Yields
        ------
        Connection
            A connection of SQLAlchemy.
        """
        self._check_open()
        with self._translated(), self._connections.autocommit.connect() as connection:
            yield connection

    @contextmanager
    def scratch(self) -> Iterator[Path | None]:
        """A folder beside the file, for a while; None for a server, and where nothing may be written.

        Yields
        ------
        Path or None
            The folder, which is removed at the end.

        Raises
        ------
        DatabaseError
            Nothing can be written beside the file.
        """
        self._check_open()
        if self.path is None or self.read_only:
            yield None
            return
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(workspace(self.path.resolve().parent))
            except OSError as error:
                raise DatabaseError(f"nothing can be written beside {self.name}: {error.strerror}") from error
            yield folder

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session whose queries all see the database as it is at the first of them.

        Yields
        ------
        Session
            A session of SQLAlchemy.
        """
        self._check_open()
        self.share()
        with Session(self.engine.execution_options(**self.engines.SNAPSHOT)) as session:
            yield session

    def share(self) -> None:
        """Let others write while this process is to read for long, which keeps them from a file in rest."""
        self._connections.share()

    @contextmanager
    def snapshots(self, most: int) -> Iterator[list[Session]]:
        """Sessions that all see the same state of the database, each for a thread of its own.

        Up to `most` of them; one where others write all the time, or on a server.

        Parameters
        ----------
        most
            The number of sessions that are wanted.

        Yields
        ------
        list[Session]
            Sessions of SQLAlchemy, one at least.
        """
        with ExitStack() as stack:
            sessions = [stack.enter_context(self.snapshot())]
            for _ in range(20):  # tries to catch a moment in which nobody writes
                with ExitStack() as tries, self.autocommit() as watcher:
                    before = self.engines.version(watcher)
                    if before is None:
                        break
                    found = [tries.enter_context(self.snapshot()) for _ in range(most)]
                    for session in found:
                        session.execute(text("SELECT 1 FROM archs LIMIT 1"))  # this begins it
                    if self.engines.version(watcher) == before:
                        sessions = found
                        stack.push(tries.pop_all())
                        break
            yield sessions

    def rows(self, sql: str, /, **values: object) -> list[dict[str, Any]]:
        """The rows of a plain SQL query, as dicts; ``:name`` stands for a value.

        Parameters
        ----------
        sql
            The query, which can only read; to write there is `transaction`.
        **values
            The values that stand for the names in the query.

        Returns
        -------
        list of dict
            A dict a row, by column; of two columns ``id`` the second is ``id_1``.

        Raises
        ------
        DatabaseError
            The query is not SQL that this database understands, it would do more than read, or a value is of
            a type or a size that it does not hold.
        """
        names, rows = self.ask(sql, **values)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def ask(self, sql: str, /, **values: object) -> Answer:
        """Like `rows`, as the names of the columns and a tuple a row.

        Parameters
        ----------
        sql, **values
            As for `rows`.

        Returns
        -------
        Answer
            Names and rows.
        """
        return self._connections.ask(*query_of(sql, values))

    @contextmanager
    def stream(self, sql: str, /, **values: object) -> Iterator[Stream]:
        """Like `ask`, with rows that come as they are asked for: any number of them, in flat memory.

        Parameters
        ----------
        sql, **values
            As for `rows`.

        Yields
        ------
        Stream
            Names, and rows until the end of the block, which nobody can write to a file in rest before.
        """
        with self._connections.stream(*query_of(sql, values)) as found:
            yield found

    def rows_of(self, query: Executable, **values: object) -> list[dict[str, Any]]:
        """The rows of a query of SQLAlchemy, as dicts.

        Parameters
        ----------
        query
            A query of SQLAlchemy.
        **values
            The values of its parameters.

        Returns
        -------
        list of dict
            A dict a row, by column.
        """
        return [dict(row) for row in self.reader.execute(query, values).mappings()]

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._connections.is_closed

    def close(self) -> None:
        """Close all connections of this object; the database that was current before it is so again."""
        self._connections.close()
        _currents.remove(self)

    def disconnect(self) -> None:
        """Close all connections of this object, which the next question opens again."""
        self._connections.disconnect()

    def _check_open(self) -> None:
        if self._connections.is_closed:
            raise DatabaseError(f"{self.name} {CLOSED}")

    def check_whole(self) -> None:
        """`DatabaseError` for a new file that something failed in as it was filled."""
        if self._connections.is_half_made:
            raise DatabaseError(f"{self.name} {HALF_MADE}")

    def _check_writable(self) -> None:
        self._check_open()
        self.check_whole()
        if self.read_only:
            if is_on_read_only_medium(self.path):
                raise DatabaseError(f"{self.name} is where nothing can be written; copy it elsewhere first")
            raise DatabaseError(f"{self.name} is open read only; open it without read_only to write")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the driver says, as an error of ours."""
        try:
            yield
        except DBAPIError as error:
            said = refusal(error.orig, self._new or self.path)
            raise DatabaseError(said or f"{self.name}: {one_line(error.orig or error)}") from error


_currents: Currents[Database] = Currents()


def current() -> Database:
    """The database that is asked where none is named: the one opened last that is still open.

    The default one is opened if none ever was.

    Returns
    -------
    Database
        The open database.

    Raises
    ------
    DatabaseError
        The last that was open was closed: no other file is opened in its place.
    DatabaseNotFoundError
        None was opened, and there is no default one.
    """
    return _currents.latest() or open()


def asked(db: object) -> Database:
    """The database that a caller gave as ``db``; the current one if None."""
    return current() if db is None else opened(db)


def opened(db: object) -> Database:
    """The database that a caller gave as ``db`` where one is needed; `QueryError` for whatever is none."""
    if isinstance(db, Database):
        return db
    raise no_database(db)


def open(
    path_or_url: str | os.PathLike[str] | None = None, *, read_only: bool = False, current: bool = True
) -> Database:
    """Open a database and make it the one that `bloxdb.Arch.get`, `bloxdb.top`, … ask.

    Parameters
    ----------
    path_or_url
        A file, or an SQLAlchemy URL such as ``postgresql+psycopg://host/name``. None means
        ``$BLOXDB_URL``, else ``blox.db`` in the user's data folder. A path is made absolute at once.
    read_only
        Refuse writing; on a medium that nobody can write that is always so.
    current
        Whether it is the one that is asked, until it is closed; then the one before is so again.

    Returns
    -------
    Database
        The open database.

    Raises
    ------
    DatabaseNotFoundError
        There is none; the error says how to create one.
    NotADatabaseError
        There is something else.
    RevisionError
        It is older or newer than this bloxdb; the error says what to do.
    """
    return open_url(locate(path_or_url), read_only=read_only, current=current)


def open_url(
    url: URL, *, read_only: bool = False, current: bool = True, scripts: Path | None = None
) -> Database:
    """`open` for a URL that was located, and, for tests, with the migrations of another folder."""
    check_file(url)
    read_only = read_only or is_on_read_only_medium(path_of(url))
    check_access(path_of(url), read_only=read_only)
    db = Database(url, read_only=read_only)
    try:
        _check_revision(db, scripts)
    except BaseException:
        db.close()
        raise
    if current:
        _currents.add(db)
    return db


def _reopen(*parts: Any) -> Database:
    """The database of a pickle, of which the parts of the URL and `read_only` are left."""
    url = URL.create(*parts[:-1])
    try:
        return open_url(url, read_only=parts[-1], current=False)
    except DatabaseNotFoundError as error:
        raise DatabaseNotFoundError(
            f"there is no database at {path_of(url)} here: the pickle of a Database has its path only; bring "
            "the file to this place, or open another with bloxdb.open"
        ) from error
    except NotADatabaseError:
        raise
    except DatabaseError as error:
        raise passwords.left_out(error, url) from error


def revision_of(db: Database) -> str | None:
    """The schema revision of a database; None if it is not one of bloxdb's."""
    with db.autocommit() as connection:
        return revisions.current_revision(connection, db.name)


def _check_revision(db: Database, scripts: Path | None) -> None:
    with db.autocommit() as connection:
        revisions.check(connection, db.name, scripts)
        db.engines.check(connection, db.name)

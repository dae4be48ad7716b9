"""Opening databases: sessions, snapshots, revisions."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from bloxdb.db import revisions
from bloxdb.db.connection import (
    APPLICATION_ID,
    BEGIN,
    alone,
    application_id,
    file_url,
    locate,
    make_engine,
    path_of,
    unchecked,
)
from bloxdb.db.creation import build, keep_copy, migrate
from bloxdb.errors import (
    DatabaseError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    NotADatabaseError,
    RevisionError,
)
from bloxdb.files import replacing

if TYPE_CHECKING:
    from bloxdb.dataset import Dataset

_TRIES = 20  # at catching a moment in which nobody writes


class Database:
    """An open database; `bloxdb.open` and `bloxdb.create` make one.

    Use it as a context manager, or call `close`.

    Attributes
    ----------
    url
        Where it is.
    engine
        The SQLAlchemy engine, for your own queries.
    read_only
        Whether writing is refused.
    """

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        self.engine = make_engine(url, read_only=read_only)
        self._write = sessionmaker(self.engine)
        options = {BEGIN: ""} if self.path else {"isolation_level": "AUTOCOMMIT"}
        self._readers = scoped_session(sessionmaker(self.engine.execution_options(**options)))

    def __repr__(self) -> str:
        mode = ", read only" if self.read_only else ""
        return f"<Database {self.name}{mode}>"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The path, or the URL without its password."""
        if self.path is not None:
            return str(self.path)
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file; None for a server."""
        return path_of(self.url)

    @property
    def reader(self) -> Session:
        """This thread's session for reading; it holds no transaction, so it never sees old data twice."""
        return self._readers()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back after an error.

        Raises
        ------
        DatabaseError
            The engine refused: a full disk, a lock that was not given up, a broken constraint.
        """
        if self.read_only:
            raise DatabaseError(f"{self.name} is open read only; open it without read_only to write")
        try:
            with self._write.begin() as session:
                yield session
        except DBAPIError as error:
            raise DatabaseError(f"{self.name}: {error.orig}") from error

    @contextmanager
    def bulk_transaction(self) -> Iterator[Session]:
        """Like `transaction`, for very many rows: foreign keys are not checked, other files can be attached.

        Nothing is written twice where this is the only connection: the journal is then not a WAL.
        """
        if self.path is None or self.read_only:
            with self.transaction() as session:
                yield session
            return
        try:
            with (
                self.engine.execution_options(**{BEGIN: ""}).connect() as connection,
                alone(connection),
                unchecked(connection),
                Session(connection) as session,
            ):
                yield session
                session.flush()
        except DBAPIError as error:
            raise DatabaseError(f"{self.name}: {error.orig}") from error

    @contextmanager
    def scratch(self) -> Iterator[Path | None]:
        """A folder beside the file, for a while; None for a server, and where nothing may be written."""
        if self.path is None or self.read_only:
            yield None
            return
        try:
            folder = TemporaryDirectory(prefix=".bloxdb-", dir=self.path.parent)
        except OSError as error:
            raise DatabaseError(f"nothing can be written beside {self.name}: {error.strerror}") from error
        with folder as place:
            yield Path(place)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session whose queries all see the database as it is at the first of them."""
        options: dict[str, Any] = {BEGIN: "BEGIN"}
        if self.path is None:
            options = {"isolation_level": "REPEATABLE READ"}
        with Session(self.engine.execution_options(**options)) as session:
            yield session

    @contextmanager
    def snapshots(self, most: int) -> Iterator[list[Session]]:
        """Sessions that all see the same state of the database, each for a thread of its own.

        Up to `most` of them; one where others write all the time, or on a server.
        """
        with ExitStack() as stack:
            sessions = [stack.enter_context(self.snapshot())]
            if self.path is not None:
                for _ in range(_TRIES):
                    with ExitStack() as tries, self._watched() as changed:
                        found = [tries.enter_context(self.snapshot()) for _ in range(most)]
                        for session in found:
                            session.execute(text("SELECT 1 FROM archs LIMIT 1"))  # this begins it
                        if not changed():
                            sessions = found
                            stack.push(tries.pop_all())
                            break
            yield sessions

    @contextmanager
    def _watched(self) -> Iterator[Callable[[], bool]]:
        """A function that says whether anybody has written to the file since the block began."""
        with self.engine.execution_options(**{BEGIN: ""}).connect() as connection:
            query = text("PRAGMA data_version")
            before = connection.scalar(query)
            yield lambda: bool(connection.scalar(query) != before)

    def dataset(self, recipe: str | None = None, seeds: Iterable[int] | None = None) -> Dataset:
        """The finished runs under the original package's API; nothing is loaded up front.

        Parameters
        ----------
        recipe
            Whose runs; needed where there are several recipes.
        seeds
            Which; all that there are if None.

        Raises
        ------
        QueryError
            There is no such recipe or seed.
        """
        from bloxdb.dataset import from_database

        return from_database(self, recipe, seeds)

    def rows(self, sql: str, **values: object) -> list[dict[str, Any]]:
        """The rows of a plain SQL query, as dicts; ``:name`` stands for a value.

        Raises
        ------
        DatabaseError
            The query is not SQL that this database understands.
        """
        try:
            return [dict(row) for row in self.reader.execute(text(sql), values).mappings()]
        except SQLAlchemyError as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseError(f"{self.name}: {reason}") from error

    def close(self) -> None:
        """Close all connections of this object."""
        self._readers.remove()
        self.engine.dispose()
        with _state_lock:
            if _state.get("current") is self:
                del _state["current"]


_state: dict[str, Database] = {}
_state_lock = threading.Lock()


def current() -> Database:
    """The database opened last, else the default one."""
    with _state_lock:
        found = _state.get("current")
    return found or open()


def open(path_or_url: str | os.PathLike[str] | None = None, *, read_only: bool = False) -> Database:
    """Open a database and make it the one that `bloxdb.Arch.get`, `bloxdb.top`, … ask.

    Parameters
    ----------
    path_or_url
        A file, or an SQLAlchemy URL such as ``postgresql+psycopg://host/name``. None means
        ``$BLOXDB_URL``, else ``blox.db`` in the user's data folder.
    read_only
        Refuse writing.

    Raises
    ------
    DatabaseNotFoundError
        There is none; the error says how to create one.
    NotADatabaseError
        There is something else.
    RevisionError
        It is older or newer than this bloxdb; the error says what to do.
    """
    return _open(locate(path_or_url), read_only, None)


def open_beside(path_or_url: str | os.PathLike[str]) -> Database:
    """Open a database to read from, like `open`, but without making it the one that is asked."""
    return _opened(locate(path_or_url), True, None)


def _open(url: URL, read_only: bool, scripts: Path | None) -> Database:
    db = _opened(url, read_only, scripts)
    with _state_lock:
        _state["current"] = db
    return db


def _opened(url: URL, read_only: bool, scripts: Path | None) -> Database:
    _check_file(url)
    db = Database(url, read_only=read_only)
    try:
        _check_revision(db, scripts)
    except BaseException:
        db.close()
        raise
    return db


def create(path_or_url: str | os.PathLike[str] | None = None) -> Database:
    """Create a database, fill in blocks, architectures and their costs, and open it.

    A file appears whole or not at all.

    Raises
    ------
    DatabaseExistsError
        There is a file or a database already; nothing was changed.
    """
    url = locate(path_or_url)
    _create(url)
    return _open(url, False, None)


def create_beside(path: Path) -> Database:
    """Create a file and open it, without making it the one that is asked."""
    url = file_url(path)
    _create(url)
    return _opened(url, False, None)


def _create(url: URL) -> None:
    path = path_of(url)
    if path is None:
        with _server_errors(url), Database(url) as db:
            _check_empty(db)
            build(db)
    else:
        if path.exists():
            raise DatabaseExistsError(f"{path} exists already; remove it, or choose another place")
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, Database(file_url(temporary)) as db:
            build(db)


def upgrade(path_or_url: str | os.PathLike[str] | None = None) -> Path | None:
    """Bring an older database to this bloxdb's revision, in one transaction.

    Returns
    -------
    pathlib.Path or None
        The copy that was kept of an SQLite file; None if there was nothing to do or it is a server.
    """
    return _upgrade(locate(path_or_url), None)


def _upgrade(url: URL, scripts: Path | None) -> Path | None:
    _check_file(url)
    with _server_errors(url), Database(url) as db:
        with db.engine.connect() as connection:
            revision = revisions.current_revision(connection)
        if revision is None:
            raise NotADatabaseError(f"{db.name} is not a bloxdb database")
        if revision == revisions.head(scripts):
            return None
        if not revisions.is_known(revision, scripts):
            raise RevisionError(_newer(db, revision))
        copy = keep_copy(db, revision)
        migrate(db, scripts)
        return copy


@contextmanager
def connect_for_developers(url: str) -> Iterator[Connection]:
    """A connection for ``alembic`` at the command line, in a transaction that is committed."""
    engine = make_engine(locate(url), read_only=False)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _check_file(url: URL) -> None:
    """Whether an SQLite file is one of ours.

    Only SQLite opens it: closing a file ends all locks that the process has on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2), and this process may have the same database open.
    """
    path = path_of(url)
    if path is None:
        return
    if not path.exists():
        raise DatabaseNotFoundError(
            f"there is no database at {path}; create one with `bloxdb init --db {path}` or "
            "bloxdb.create(path)"
        )
    try:
        found = application_id(path)
    except sqlite3.OperationalError as error:
        raise NotADatabaseError(f"{path} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise DatabaseError(f"{path}: {error}") from error
        raise NotADatabaseError(f"{path} is not an SQLite file") from error
    if found != APPLICATION_ID:
        raise NotADatabaseError(f"{path} is an SQLite file, but not a bloxdb database")


def _check_revision(db: Database, scripts: Path | None) -> None:
    with _server_errors(db.url), db.engine.connect() as connection:
        revision = revisions.current_revision(connection)
    if revision == revisions.head(scripts):
        return
    if revision is None:
        raise NotADatabaseError(f"{db.name} is not a bloxdb database; create one with `bloxdb init --db …`")
    if not revisions.is_known(revision, scripts):
        raise RevisionError(_newer(db, revision))
    raise RevisionError(
        f"{db.name} has the older revision {revision}; bring it up to date with "
        f"`bloxdb upgrade --db {db.name}` (it keeps a copy)"
    )


def _newer(db: Database, revision: str) -> str:
    return (
        f"{db.name} has revision {revision}, which this bloxdb does not know: a newer bloxdb wrote it; "
        "update with `pip install -U bloxdb`"
    )


def _check_empty(db: Database) -> None:
    with db.engine.connect() as connection:
        if revisions.current_revision(connection) is not None:
            raise DatabaseExistsError(f"{db.name} is a bloxdb database already; open it instead")


@contextmanager
def _server_errors(url: URL) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        name = url.render_as_string(hide_password=True)
        raise DatabaseError(f"{name}: {' '.join(str(error.orig).split())}") from error

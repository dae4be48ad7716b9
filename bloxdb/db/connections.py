"""All that one database has open: neither its threads nor whoever forgets to close it keep it open."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from weakref import ref

from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState, Session

from bloxdb.arguments import of_type
from bloxdb.db import forking
from bloxdb.db.access import KnownFile, refusal
from bloxdb.db.base import make_mappers
from bloxdb.db.connection import make_engine, path_of, query_engine, rest, share
from bloxdb.db.dialects import engines_of
from bloxdb.db.engines import LOST
from bloxdb.db.passwords import hidden
from bloxdb.db.reading import Answer, Stream, ask, stream
from bloxdb.errors import DatabaseError, ServerAwayError, one_line

CLOSED = "was closed; open it again with bloxdb.open"
HALF_MADE = "cannot be made: something failed as it was filled, and a part may be in it; begin anew"
_MANY = 100  # sessions that are known, before those that are gone are forgotten
_IDLE = 0.1  # seconds after which a connection to a server is looked at before it is used
_LEFT = "was disconnected while this was asked; ask again"


def _of_a_handler(error: BaseException | None, drivers: type[BaseException]) -> BaseException | None:
    """What a handler of signals raised as a connection was looked at; SQLAlchemy fails to tidy behind it."""
    while error is not None:
        error = error.__context__
        if error is not None and not isinstance(error, (drivers, SQLAlchemyError)):
            return error
    return None


class Connections:
    """The engines of a database, and the sessions of the threads that read from it.

    Parameters
    ----------
    url
        The SQLAlchemy URL of the database.
    read_only
        Refuse writing.
    is_new
        Whether it is a file that is being made, and nobody else knows it.

    Attributes
    ----------
    engine
        The engine that all but queries of a caller's own use.
    queries
        The engine of those queries, on which nothing can be written.
    autocommit
        `engine`, with each statement a transaction of its own.
    is_closed
        Whether they were closed for ever.
    is_half_made
        Whether it is a new file, and something failed as it was filled in bulk: that may leave a part.
    known
        The file; None for a server, and for a file that is being made.
    """

    def __init__(self, url: URL, *, read_only: bool, is_new: bool) -> None:
        of_type(url, URL, "what a Database opens")
        make_mappers()
        path = path_of(url)
        self.known = None if path is None or is_new else KnownFile(path)
        self.queries = query_engine(url, is_new=is_new, known=self.known)
        self.engine = make_engine(url, read_only=read_only, is_new=is_new, known=self.known)
        self.autocommit = self.engine.execution_options(**engines_of(url).AUTOCOMMIT)
        self.is_closed = False
        self.is_half_made = False
        self._is_new, self._is_server = is_new, path is None
        self._mine = threading.local()
        self._readers: list[tuple[ref[forking.Reader], threading.Thread]] = []
        self._count = 0  # of times that all were closed
        for engine in (self.engine, self.queries):
            event.listen(engine, "handle_error", self._failed, retval=True)
        if path is not None:
            event.listen(self.engine, "connect", self._own)

    def _own(self, connection: forking.Connection, *_: object) -> None:
        connection.owner = self._mine

    def _failed(self, context: ExceptionContext) -> BaseException | None:
        """See to what an error leaves, and say it in a sentence where a connection has gone.

        One is useless after Ctrl-C; one to a server after any signal in the middle of a query.
        """
        error, asking, engines = context.original_exception, context.connection, engines_of(self.engine.url)
        if context.is_pre_ping:
            return _of_a_handler(error, context.dialect.loaded_dbapi.Error)
        if asking is None and self._is_server:
            return self._away(error)
        if asking is None or asking.invalidated:
            return None
        was_lost = context.is_disconnect and isinstance(error, Exception)
        if not context.is_disconnect and engines.end_asking(asking.connection.driver_connection):
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False  # the others are as good as before
        if was_lost and self._is_server:
            return ServerAwayError(f"{hidden(self.engine.url)}: {LOST.format(one_line(error))}")
        if isinstance(error, sqlite3.ProgrammingError) and self._was_closed():
            return DatabaseError(f"{path_of(self.engine.url)} {CLOSED if self.is_closed else _LEFT}")
        return None

    def _away(self, error: BaseException) -> DatabaseError:
        """The error of a server that takes no connection: for a while, or for good."""
        url = self.engine.url
        kind = DatabaseError if engines_of(url).refuses_for_good(error) else ServerAwayError
        return kind(f"{hidden(url)}: {one_line(error)}")

    def _was_closed(self) -> bool:
        """Whether another thread has closed what this one asks with."""
        return self._count != getattr(self._mine, "count", self._count)

    @contextmanager
    def bulk(self) -> Iterator[Session]:
        """A transaction for very many rows; see `bloxdb.db.engines.Engines.bulk`."""
        try:
            with engines_of(self.engine.url).bulk(self.engine) as session:
                yield session
        except BaseException:
            self.is_half_made = self._is_new
            raise

    def ask(self, sql: str, values: dict[str, Any]) -> Answer:
        """What a query of a caller's own gives; see `bloxdb.db.reading.ask`."""
        with self._named():
            return ask(self.queries, sql, values)

    @contextmanager
    def stream(self, sql: str, values: dict[str, Any]) -> Iterator[Stream]:
        """What a query of a caller's own gives, row by row; see `bloxdb.db.reading.stream`."""
        with ExitStack() as stack:
            with self._named():
                names, rows = stack.enter_context(stream(self.queries, sql, values))

            def named() -> Iterator[tuple[Any, ...]]:
                with self._named():
                    yield from rows

            yield Stream(names, named())

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Have errors of a query say which database they are of."""
        url = self.engine.url
        if self.is_closed:
            raise DatabaseError(f"{path_of(url) or hidden(url)} {CLOSED}")
        try:
            yield
        except DatabaseError as error:
            cause, name = error.__cause__, str(path_of(url) or hidden(url))
            said = refusal(getattr(cause, "orig", cause), path_of(url))
            told = str(error).removeprefix(f"{name}: ")
            raise type(error)(said or f"{name}: {told}") from cause

    def reader(self) -> forking.Reader:
        """This thread's session for reading; `DatabaseError` where the file is there no more."""
        if self.known is not None:
            self.known.check()
        session: forking.Reader | None = getattr(self._mine, "session", None)
        if session is None or self._mine.count != self._count:
            session = self._mine.session = forking.Reader(self.autocommit, expire_on_commit=False)
            self._mine.count = self._count
            if len(self._readers) > _MANY:
                self._readers[:] = [known for known in self._readers if known[0]() is not None]
            self._readers.append((ref(session), threading.current_thread()))
            event.listen(session, "do_orm_execute", self._check)  # of what an object of it loads later, too
        return session

    def _check(self, asked: ORMExecuteState) -> None:
        """Before a session for reading asks: the file must be there, and the connection work.

        One to a server may have been lost since, which shows when the pool looks at what it gives out.
        """
        session: Any = asked.session
        session.heal()
        if self.known is not None:
            self.known.check()
        if not self._is_server:
            return
        now = time.monotonic()
        if now - session.info.get("asked", now) > _IDLE:
            try:
                session.commit()  # which gives the connection back
            except BaseException:
                session.rollback()
                raise
        session.info["asked"] = now

    def share(self) -> None:
        """Let others write while somebody reads for long; `DatabaseError` where the file is there no more."""
        if self.known is not None:
            share(self.known)

    def disconnect(self) -> None:
        """Close all, which the next question opens again; a file is left without a WAL."""
        if not self.is_closed:
            self._disconnect()

    def end(self) -> None:
        """Close all at the end of the process: what a thread still asks would leave a WAL."""
        self._disconnect(is_end=True)

    def _disconnect(self, *, is_end: bool = False) -> None:
        self._count += 1
        for known, thread in [*self._readers]:
            is_free = thread is threading.current_thread() or not thread.is_alive()
            if is_free and (session := known()) is not None:  # which may not be collected yet
                with suppress(DBAPIError, DatabaseError):  # its connection was lost
                    session.close()
        if self.known is not None:  # threads may outlive the database, and keep what they asked with
            for connection in forking.connections_to(self.known.path.resolve()):
                is_elsewhere = connection.thread not in (None, threading.get_ident())
                if is_elsewhere and (is_end or connection.owner is self._mine):
                    connection.end(is_last=is_end)
        self.queries.dispose()
        self.engine.dispose()
        if self.known is not None and not self.known.lost():
            rest(self.known.path)

    def close(self) -> None:
        """Close all for ever; once more is no error."""
        if not self.is_closed:
            self.is_closed = True
            self._disconnect()

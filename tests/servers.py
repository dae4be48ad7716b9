"""Databases on the server that `tests.conftest` says, where tests that need one find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from socket import AF_UNIX, socket
from threading import Thread

from sqlalchemy import create_engine, make_url, text

from bloxdb.db.connection import locate
from tests.conftest import POSTGRESQL


@contextmanager
def empty_on_server(name: str) -> Iterator[str]:
    """The URL of an empty database of this name, which is removed at the end."""
    assert POSTGRESQL is not None
    server = create_engine(locate(POSTGRESQL), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name} (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(POSTGRESQL).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} (FORCE)"))
        server.dispose()


@contextmanager
def away(name: str) -> Iterator[None]:
    """Have the server end all connections to a database, and take none before the end of the block."""
    server = create_engine(locate(POSTGRESQL), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(ending), {"name": name})
        yield
    finally:
        with server.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        server.dispose()


class Between:
    """Stands between a client and the server, and can keep an answer from the client.

    Parameters
    ----------
    folder
        Where its socket is.
    url
        The database.

    Attributes
    ----------
    url
        The same, by way of this.
    """

    def __init__(self, folder: Path, url: str) -> None:
        parts = make_url(url)
        port = parts.port or parts.query.get("port", 5432)
        self._server = f"{parts.query['host']}/.s.PGSQL.{port}"
        self._listener = socket(AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._loses: bytes | None = None
        self._then: Callable[[], object] = lambda: None
        query = {"host": str(folder), "port": "5432"}
        self.url = parts.set(query=query, port=None).render_as_string(hide_password=False)
        Thread(target=self._accept, daemon=True).start()

    def lose(self, words: bytes, then: Callable[[], object] = lambda: None) -> None:
        """End the next connection that says these words, when the server has answered, and without the answer.

        Before that something else may be done.
        """
        self._loses, self._then = words, then

    @property
    def has_lost(self) -> bool:
        """Whether it has."""
        return self._loses is None

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket(AF_UNIX)
                server.connect(self._server)
                Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket, server: socket) -> None:
        with client, server, suppress(OSError):
            while True:
                for one in select([client, server], [], [])[0]:
                    said = one.recv(1 << 16)
                    if not said:
                        return
                    if one is client and self._loses is not None and self._loses in said:
                        self._loses = None
                        server.sendall(said)
                        server.recv(1 << 16)
                        self._then()
                        return
                    (server if one is client else client).sendall(said)

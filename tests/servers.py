"""Databases on the server that `tests.conftest` says, where tests that need one find it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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

"""Making a database, and bringing it to another revision: schema, first fill, copies."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import URL, Connection
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.counts import Report
from bloxdb.db import revisions
from bloxdb.db.access import check_access, new_file
from bloxdb.db.backups import write_compact
from bloxdb.db.connection import check_file, file_url, locate, make_engine, path_of, rest
from bloxdb.db.database import Database, open_url, revision_of
from bloxdb.db.engines import Engines
from bloxdb.db.revisions import current_revision, is_unfilled
from bloxdb.db.schema import Arch, Base, Block, StaticInfo
from bloxdb.errors import DatabaseError, DatabaseExistsError, NotADatabaseError
from bloxdb.writing import appearing


def create(path_or_url: str | os.PathLike[str] | None = None, *, current: bool = True) -> Database:
    """Create a database, fill in blocks, architectures and their costs, and open it.

    It appears whole or not at all. On a server, one that an earlier bloxdb left half-made is completed.

    Parameters
    ----------
    path_or_url
        A file or an SQLAlchemy URL; None means ``$BLOXDB_URL``, else ``blox.db`` in the user's data folder.
        Folders that are missing are made.
    current
        Whether it is the one that is asked where no database is named.

    Returns
    -------
    Database
        The new database, open.

    Raises
    ------
    DatabaseExistsError
        There is a file or a database already; nothing was changed.
    """
    url = locate(path_or_url)
    path = path_of(url)
    if path is None:
        with Database(url) as db:
            _build(db)
    else:
        with _new_file(path):
            pass
    return open_url(url, current=current)


@contextmanager
def _new_file(path: Path) -> Iterator[Database]:
    """A new database at a place that nobody sees, which has its name at the end; nothing is ever replaced."""
    with new_file(path) as temporary, Database(file_url(temporary), new=path) as db:
        _build(db)
        yield db
        db.check_whole()


@contextmanager
def open_or_create(path_or_url: str | os.PathLike[str] | None = None) -> Iterator[tuple[Database, bool]]:
    """Open a database for what follows, or create it where there is no file; and whether it is new.

    A new one has its name when what follows has succeeded, so that nobody takes it for one that was filled.
    Which database is asked where none is named stays as it is.

    Parameters
    ----------
    path_or_url
        A file or an SQLAlchemy URL; None means the database that `bloxdb.open` takes then.

    Yields
    ------
    Database
        The database, which is closed at the end.
    bool
        Whether it was created.

    Raises
    ------
    DatabaseNotFoundError
        It is no place for a database.
    DatabaseExistsError
        Another process made one meanwhile; what followed has to be done again, in that one.
    """
    url = locate(path_or_url)
    with ExitStack() as stack:
        if (path := _to_make(url)) is None:
            yield stack.enter_context(open_url(url, current=False)), False
        else:
            yield stack.enter_context(_new_file(path)), True


def file_to_make(path_or_url: str | os.PathLike[str] | None = None) -> Path | None:
    """The file that `open_or_create` would make now; None for one that is there, and for a server.

    Parameters
    ----------
    path_or_url
        A file or an SQLAlchemy URL; None means the database that `bloxdb.open` takes then.

    Returns
    -------
    pathlib.Path or None
        The file.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        It is no place for a database.
    """
    return _to_make(locate(path_or_url))


def _to_make(url: URL) -> Path | None:
    path = path_of(url)
    return None if path is None or path.exists() else path


@dataclass(frozen=True, repr=False)
class UpgradeReport(Report):
    """What an upgrade did.

    Attributes
    ----------
    before, after
        The revisions; the same if there was nothing to do.
    copy
        The database as it was, kept beside the file; None if there was nothing to do, or it is a server.
    """

    before: str
    after: str
    copy: Path | None = None

    def __str__(self) -> str:
        if self.before == self.after:
            return f"{self.after} already"
        kept = "" if self.copy is None else f", the database before it is {self.copy.name}"
        return f"{self.before} to {self.after}{kept}"


def upgrade(path_or_url: str | os.PathLike[str] | None = None) -> UpgradeReport:
    """Bring an older database to this bloxdb's revision, in one transaction.

    Parameters
    ----------
    path_or_url
        A file or an SQLAlchemy URL; None means the database that `bloxdb.open` takes then.

    Returns
    -------
    UpgradeReport
        The revisions, and the copy that was kept.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        There is none, or something else.
    RevisionError
        A newer bloxdb wrote it.
    DatabaseError
        A migration failed; the database is as it was, and no copy is left.
    """
    return upgrade_url(locate(path_or_url))


def upgrade_url(url: URL, scripts: Path | None = None) -> UpgradeReport:
    """`upgrade` for a URL that was located, and, for tests, with the migrations of another folder."""
    check_file(url)
    check_access(path_of(url), read_only=False)
    with Database(url) as db:
        revision = revision_of(db)
        if revision is None:
            raise NotADatabaseError(f"{db.name} is not a bloxdb database")
        newest = revisions.head(scripts)
        if revision == newest:
            return UpgradeReport(revision, newest)
        revisions.check_known(db.name, revision, scripts)
        copy = _keep_copy(db, revision)
        is_done = False
        try:
            is_done = _migrate(db, revision, scripts)
        except BaseException:
            is_done = not _still_has(revision, db)  # it may come just behind the commit
            raise
        finally:
            if copy is not None and not is_done:
                copy.unlink(missing_ok=True)
        if is_done:
            return UpgradeReport(revision, newest, copy)
    return upgrade_url(url, scripts)


@contextmanager
def connect_for_developers(url: str) -> Iterator[Connection]:
    """A connection for ``alembic`` at the command line, in a transaction that is committed."""
    engine = make_engine(locate(url), read_only=False)
    with engine.begin() as connection:
        yield connection
    engine.dispose()
    if (path := path_of(engine.url)) is not None:
        rest(path)


def _build(db: Database) -> None:
    """The schema and what the search space alone determines, in a database that has nothing."""
    with db.autocommit() as connection:
        db.engines.mark(connection)
        with db.engines.migration(connection, db.name):
            _check_has_nothing(connection, db.name)
            revisions.run(connection)
            with Session(connection) as session:
                _fill(session, db.engines)
    with db.autocommit() as connection:
        db.engines.finish(connection)


def _check_has_nothing(connection: Connection, name: str) -> None:
    """`DatabaseExistsError` for a database that is made, but not for one without architectures."""
    revision = current_revision(connection, name)
    if revision is None:
        return
    if not is_unfilled(connection):
        raise DatabaseExistsError(f"{name} is a bloxdb database already; open it instead")
    revisions.check_known(name, revision)


def _migrate(db: Database, revision: str, scripts: Path | None) -> bool:
    """All migrations in one transaction; False where another process has changed the revision meanwhile."""
    with db.autocommit() as connection, db.engines.migration(connection, db.name):
        if current_revision(connection, db.name) != revision:
            return False
        revisions.run(connection, scripts)
        return True


def _still_has(revision: str, db: Database) -> bool:
    """Whether a database has a revision, for sure."""
    with suppress(DatabaseError):
        return revision_of(db) == revision
    return False


def _keep_copy(db: Database, revision: str) -> Path | None:
    """A whole copy beside the file, under a name that is not taken; None for a server."""
    if db.path is None:
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy = db.path.with_name(f"{db.path.stem}.{revision}.{stamp}{db.path.suffix}")
    with appearing(copy) as temporary:
        temporary.touch()  # an empty file is as none, and SQLite would let others read what they may not
        temporary.chmod(stat.S_IMODE(db.path.stat().st_mode))
        write_compact(db, temporary)
    return copy


def _fill(session: Session, engines: Engines) -> None:
    """Blocks, architectures and costs: what the search space alone determines."""
    for model, (names, rows) in static_rows().items():
        engines.add_rows(session, model, names, rows)


def static_rows() -> dict[type[Base], tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
    """What the search space alone determines, by the tables that it is in: names of columns, and rows by the
    first of them.
    """
    cells = [space.cell_text(block.cell) for block in space.BLOCKS]
    blocks = [(b.index, b.scheme, b.op1, b.op2, cell) for b, cell in zip(space.BLOCKS, cells, strict=True)]
    indices = np.arange(space.NUM_ARCHS)
    first, second, third = (space.block_of_stage(indices, at).tolist() for at in range(space.STAGES))
    vectors = [f"[{cells[a]},{cells[b]},{cells[c]}]" for a, b, c in zip(first, second, third, strict=True)]
    ids = range(space.NUM_ARCHS)
    archs = list(zip(ids, space.all_model_hashes(), first, second, third, vectors, strict=True))
    flops, params = space.all_costs().T.tolist()
    return {
        Block: (("id", "scheme", "op1", "op2", "cell"), blocks),
        Arch: (("id", "hash", "block1_id", "block2_id", "block3_id", "vec"), archs),
        StaticInfo: (("arch_id", "flops", "params"), list(zip(ids, flops, params, strict=True))),
    }

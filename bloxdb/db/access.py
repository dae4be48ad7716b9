"""Who may do what with an SQLite file, how it is opened by those who may only read, and what refusals mean.

A file that nobody has open has a rollback journal and no WAL. So a reader who may write nothing still sees
every change, by SQLite's locks alone, and makes no file that the owner of the database could not write.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bloxdb import warn
from bloxdb.counts import counted
from bloxdb.db.codes import code_of, kind_of
from bloxdb.db.damage import DAMAGE, damage, of_the_disk
from bloxdb.db.disks import disk_of, warning_for
from bloxdb.db.fileformat import HEADER, page_size_of
from bloxdb.db.forking import AT_ONCE, PATIENCE, Connection, take_locks
from bloxdb.db.holders import by_whom
from bloxdb.db.names import JOURNALS, PARTS, beside, other_names
from bloxdb.db.waiting import is_busy
from bloxdb.errors import DatabaseError, DatabaseExistsError
from bloxdb.writing import appearing, made

WRITING = "mode=rw"
"""How a file is opened by those who may write it, and readers among them: it has to be there."""

READ_ONLY = "mode=ro&readonly_shm=1"
"""How a file is opened by those who may not write it: locks are taken, and nothing is made beside it."""

UNCHANGING = "mode=ro&immutable=1"
"""How a file is opened on a medium that nobody can write."""

SQLITE_NEEDED = (3, 35, 5)
"""The oldest SQLite that has all we use: generated columns, VACUUM INTO, NULLS LAST, RETURNING, and a DROP
COLUMN that damages no file (https://www.sqlite.org/releaselog/3_35_5.html)."""

_NO_INDEX = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMMAP)


def is_writable(path: Path) -> bool:
    """Whether SQLite can write a file, for which it needs to make others beside it, and one name of it."""
    real = path.resolve()
    return os.access(real, os.W_OK) and os.access(real.parent, os.W_OK) and not other_names(path)


def uri_of(path: Path, how: str) -> str:
    """What SQLite is told to open a file as: `WRITING`, `READ_ONLY` or `UNCHANGING`."""
    return f"{path.as_uri()}?{how}"


def is_on_read_only_medium(path: Path | None) -> bool:
    """Whether a file is where nobody writes through this system, as on a DVD."""
    return path is not None and path.exists() and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def has_content(path: Path) -> bool:
    """Whether there is a file with anything in it."""
    return path.exists() and path.stat().st_size > 0


def has_wal(path: Path) -> bool:
    """Whether the header says that there is a WAL: https://www.sqlite.org/fileformat2.html, byte 18."""
    return _header(path)[18:19] == b"\x02"


class Pages(NamedTuple):
    """The pages of a file.

    Attributes
    ----------
    size
        Bytes of a page.
    there, rest
        How many whole ones the file has, and how many bytes after them.
    due
        How many it has by its header.
    """

    size: int
    there: int
    rest: int
    due: int

    @property
    def is_cut_off(self) -> bool:
        """Whether the file is shorter than its header says."""
        return self.there < self.due

    def __str__(self) -> str:
        part = " and a part of one" if self.rest else ""
        return f"it has {self.there:,} of {counted(self.due, 'page')}{part}"


def in_one_state(path: Path) -> sqlite3.Connection:
    """A connection that reads one state of a file, be it damaged; until it is closed nobody writes its pages.

    It is opened for writing where that may be, so that SQLite uses its journal first.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    sqlite3.Error
        It is locked, or SQLite finds no database in it.
    """
    take_locks(path.resolve())
    how = WRITING if is_writable(path) else READ_ONLY
    uri = uri_of(path.resolve(), how)
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=AT_ONCE, factory=Connection)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA writable_schema = ON")  # else SQLite opens no file that lacks pages
        connection.execute("BEGIN")
        connection.execute("PRAGMA page_count").fetchone()
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def pages_of(path: Path) -> Pages | None:
    """The pages of a file while nobody writes them: https://www.sqlite.org/fileformat2.html, bytes 16 and 28.

    Whoever writes has the header ahead of the file, so that it is asked under SQLite's own lock. None where
    that is not to be had, where the header does not say it, or where a WAL has the newest pages.
    """
    real = path.resolve()
    if is_on_read_only_medium(real):
        return _pages_now(real)
    try:
        with closing(in_one_state(real)):
            return _pages_now(real)
    except sqlite3.Error as error:
        is_damage = kind_of(error) in DAMAGE
        return _pages_now(real) if is_damage else None  # SQLite lets nobody write what it cannot read


def _pages_now(path: Path) -> Pages | None:
    header = _header(path)
    size = page_size_of(header)
    if len(header) < HEADER or size is None or header[24:28] != header[92:96]:
        return None
    if has_content(beside(path, "-wal")):
        return None
    return Pages(size, *divmod(path.stat().st_size, size), int.from_bytes(header[28:32], "big"))


def _header(path: Path) -> bytes:
    """The first bytes of a file, less where there are no more.

    They are read through a file that SQLite has open: closing another one would end this process' locks.
    """
    with closing(sqlite3.connect(uri_of(path, UNCHANGING), uri=True)):
        found = descriptor_of(path)
        return b"" if found is None else os.pread(found, HEADER, 0)


def descriptor_of(path: Path) -> int | None:
    """By what this process has a file open, as SQLite has it; None if it has not.

    Parameters
    ----------
    path
        The file.
    """
    wanted = path.stat()
    for found in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the one of the list itself is closed by now
            if os.path.samestat(os.fstat(int(found.name)), wanted):
                return int(found.name)
    return None


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A place that nobody sees for a new database, which has its name at the end; nothing is ever replaced.

    Parameters
    ----------
    path
        What it is to be called.

    Yields
    ------
    Path
        Where to write it.

    Raises
    ------
    DatabaseExistsError
        There is something of this name.
    DatabaseError
        There is what SQLite would take for a part of it, or it would be taken for a part of another one.
    """
    real = path.resolve()  # a link to a file that is not there leads to the place of the new one
    _check_is_no_part(path, real)
    taken = next((name for name in (real, *(beside(real, end) for end in JOURNALS)) if name.exists()), None)
    if taken == real:
        raise DatabaseExistsError(f"{path} exists already; remove it, or choose another place")
    if taken is not None:
        raise DatabaseError(
            f"{taken} was left by another database of this name, and SQLite would take it for a part of the "
            "new one; put it back beside its database, remove it, or choose another place"
        )
    above = next(folder for folder in real.parents if folder.exists())
    if not above.is_dir():
        raise DatabaseError(f"{above} is no folder, so that {path} cannot be made; choose another place")
    if not os.access(above, os.W_OK):
        raise DatabaseError(f"nothing can be written to {above}; choose another place for {path.name}")
    try:
        with made(real.parent), appearing(real) as temporary:
            yield temporary
    except FileExistsError as error:
        if isinstance(error, DatabaseExistsError):
            raise
        raise DatabaseExistsError(
            f"{path} was made by another process meanwhile, and stays as it is; open that one"
        ) from error


def _check_is_no_part(path: Path, real: Path) -> None:
    """`DatabaseError` for a name that SQLite gives a part of another database, which it would remove or read.

    Whether a disk folds upper and lower case nobody asks: no case of such a name is taken.
    """
    for part in PARTS:
        if real.name.lower().endswith(part):
            whole = real.name[: -len(part)] or "blox.db"
            raise DatabaseError(
                f"{path} is named as SQLite names a part of the database {whole}, and would be taken for it "
                f"and lost; choose a name that does not end in {part}, such as {_other(whole, part)}"
            )


def _other(whole: str, part: str) -> str:
    """A name for a new file that is like one that cannot be, as ``x.journal.db`` for ``x.db-journal``."""
    name = Path(whole)
    return f"{name.stem}.{part[1:]}{name.suffix or '.db'}"


class KnownFile:
    """A path, and the file that was there at first; SQLite itself knows files by their paths alone.

    What is left in a WAL of this name would be written into another file that has it now.

    Parameters
    ----------
    path
        The path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tells = disk_of(path).takes_wal  # on shared disks one file may have many numbers
        self._at_first = self._number() if path.exists() else None

    def _number(self) -> tuple[int, int] | None:
        """Its number; None for a file without anything in it."""
        found = self.path.stat()
        if not found.st_size:
            return None
        return (found.st_dev, found.st_ino) if self._tells else (0, 0)

    def lost(self) -> str | None:
        """What became of the file; None where it is still there, or nobody can tell."""
        if self._at_first is None:  # whoever opens it says so
            return None
        try:
            found = self._number()
            if found == self._at_first:
                return None
            what = "it was emptied" if found is None else "another file was put in its place"
        except (FileNotFoundError, NotADirectoryError):
            what = "it was removed or renamed"
        except OSError:  # whoever asks it says why
            return None
        return f"{self.path}: {what} since it was opened"

    def check(self) -> None:
        """`DatabaseError` where the file is there no more; it says so where its WAL is left, which would be
        written into another file of its name.
        """
        if said := self.lost():
            wal = beside(self.path, "-wal")
            if not has_content(wal):
                raise DatabaseError(f"{said}; open it again")
            index = beside(self.path, "-shm").name
            raise DatabaseError(
                f"{said}. What was written last is in {wal.name}, which belongs to the file that was there: "
                f"put that back, or, if nobody needs it, remove {wal.name} and {index} before anything opens "
                "another file of this name, which SQLite would write it into"
            )


def check_version(found: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """`DatabaseError` for an SQLite that lacks what we use."""
    if found < SQLITE_NEEDED:
        needed, there = (".".join(map(str, version)) for version in (SQLITE_NEEDED, found))
        raise DatabaseError(
            f"bloxdb needs SQLite {needed} or newer, and Python's module sqlite3 has {there} here; take "
            "another Python, as of conda or python.org, which brings its own"
        )


def check_access(path: Path | None, *, read_only: bool) -> None:
    """`DatabaseError` for a file that cannot be opened so as things are, before SQLite says it in its way.

    Who is to write it is warned of a disk that is not made for that.
    """
    if path is not None and not read_only and (said := warning_for(path, disk_of(path))):
        warn.caller(said)
    if path is not None and not is_on_read_only_medium(path) and (others := other_names(path)):
        if not read_only:
            raise DatabaseError(
                f"{others.told}: nothing is written to it. {others.advice}, or copy the file while nobody "
                "has it open, and write the copy; to read it, open it with read_only=True"
            )
        warn.caller(f"{others.told}: what is in a journal of another name is not seen")
    if path is None or is_writable(path):
        return
    if not read_only:
        raise DatabaseError(
            f"nothing can be written to {path}, or beside it; to read it, open it with read_only=True"
        )
    wal, index = beside(path, "-wal"), beside(path, "-shm")
    if has_content(wal) and not index.exists() and not os.access(path.resolve().parent, os.W_OK):
        raise DatabaseError(
            f"what was written last to {path} is in {wal.name}, which needs a folder that can be written; "
            "copy both files into one"
        )


def owner(path: Path) -> str:
    """Who has a file, by name where there is one."""
    try:
        return path.owner()
    except (KeyError, OSError):
        return f"user {path.stat().st_uid}" if path.exists() else "its owner"


def refusal(error: BaseException | None, path: Path | None) -> str | None:
    """What a refusal of SQLite means for a file, and what to do; None where its own words say it."""
    code = code_of(error)
    if path is None or not code:
        return None
    if said := damage(error, path) or of_the_disk(error, path):
        return said
    if is_busy(error):
        who, advice = by_whom(path)
        return (
            f"{path} was locked for {PATIENCE:.0f} s by {who}; wait until that has ended{advice}, and try "
            "again"
        )
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        journal = beside(path, "-journal")
        return (
            f"a process was killed while it wrote to {path}, and only who may write there can undo what it "
            f"left: have {owner(path.resolve())} run `bloxdb status --db {path}`, and keep {journal.name}, "
            "without which the database is lost"
        )
    if kind_of(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return _of_files_beside(path)
    return None


def _of_files_beside(path: Path) -> str | None:
    """What files beside a database, or their absence, keep somebody from."""
    for suffix in ("-journal", "-wal", "-shm"):
        found = beside(path, suffix)
        if found.exists() and not os.access(found, os.W_OK if is_writable(path) else os.R_OK):
            return (
                f"{path} cannot be used because {found.name} beside it belongs to {owner(found)}; have "
                f"{owner(found)} run `bloxdb status --db {path}`, which takes it away"
            )
    return None


def lacks_room(error: sqlite3.Error) -> bool:
    """Whether SQLite could not make the index of a WAL, as on a full disk."""
    return code_of(error) in _NO_INDEX


def left_on(path: Path) -> str:
    """What to do about a WAL that was left switched on, for those who may not write."""
    if others := other_names(path):
        return (
            f"{others.told}: it was left with its WAL switched on, or is being written under "
            "another name; read it by that one"
        )
    return (
        f"it was left with its WAL switched on, so that only who may write there can read it: have "
        f"{owner(path.resolve())} run `bloxdb status --db {path}`, or copy the file to a folder of yours"
    )

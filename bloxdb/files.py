"""Paths and files as people name them, and large ones in memory."""

from __future__ import annotations

import math
import mmap
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from bloxdb.counts import Counts, Report, counted
from bloxdb.errors import BloxError, QueryError, spelled

_WORTH_THREADS = 1 << 24  # bytes
_KINDS = {
    stat.S_IFREG: "",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_LONGEST_NAME = 255  # bytes, of the systems that there are
_LONGEST_PATH = 4_095
_UNSAFE = frozenset('%/\\<>:"|?*')
_RESERVED = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9¹²³]", re.IGNORECASE)
_LARGE = 1 << 22  # bytes from which NumPy asks for huge pages


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path as a caller gives it: ``~`` is a home folder, which no shell has made of ``--out=~/x``.

    Parameters
    ----------
    path
        The path.

    Raises
    ------
    QueryError
        It is no path at all, has a name that no disk takes, or begins where we are and that is gone; or it is
        blank: ``--out "$UNSET"`` is meant for no folder, and least of all for the one we are in.
    """
    given = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(given, str):
        raise QueryError(f"a path is a text or a Path, not {spelled(path)}")
    if not given.strip():
        raise QueryError("a path is blank: name a file or a folder; a single dot is the folder you are in")
    if "\0" in given:
        raise QueryError(f"a path has no character NUL, as {given!r:.100} does")
    place = Path(given)
    with suppress(RuntimeError):  # nobody is called so: it is a name like any other
        place = place.expanduser()
    try:
        sizes = [len(os.fsencode(part)) for part in (*place.parts, str(place))]
    except UnicodeEncodeError as error:
        raise QueryError(f"{given!a:.100} is no path: it has half of a pair of UTF-16") from error
    if max(sizes[:-1], default=0) > _LONGEST_NAME or sizes[-1] > _LONGEST_PATH:
        raise QueryError(
            f"a name in a path has at most {_LONGEST_NAME} bytes, a path {_LONGEST_PATH}; {given!r:.60} … "
            f"has {max(sizes[:-1])}, and {sizes[-1]} in all"
        )
    if not place.is_absolute():
        check_here(place)
    return place


def check_here(path: Path) -> None:
    """Refuse a path that begins in the folder we are in where that was removed.

    Parameters
    ----------
    path
        The path, for the error.

    Raises
    ------
    QueryError
        There is no such folder any more.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise QueryError(
            f"the folder that you are in was removed, so that {path} is nowhere; go to another one, or write "
            "the path from the root on"
        ) from error


def absolute(path: Path) -> Path:
    """A path from the root on and without ``..``, so that a file has one name, whoever is where.

    Links stay as they are, but for one before ``..``: what is above it is above the folder that it leads to.

    Parameters
    ----------
    path
        The path; what it names need not be there.

    Examples
    --------
    >>> str(absolute(Path("/no/such/../place/./a.db")))
    '/no/place/a.db'
    """
    whole = path.absolute()
    found = Path(whole.anchor)
    for part in whole.parts[1:]:
        if part != "..":
            found /= part
        else:
            found = (found.resolve() if found.is_symlink() else found).parent
    return found


def what_is(path: Path) -> str:
    """What stands at a path in place of a file, as ``'a folder'``; empty for a file, and where nothing is.

    Parameters
    ----------
    path
        The path; a link is what it leads to.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # who opens it says what is wrong
        return ""
    return _KINDS.get(stat.S_IFMT(mode), "no file")


def check_file(path: Path, error: type[BloxError]) -> None:
    """Refuse what is no ordinary file: to open a pipe would wait for ever, a device may have no end.

    Parameters
    ----------
    path
        What will be opened; that nothing is there is left to whoever opens it.
    error
        The kind of error that the caller's file has.

    Raises
    ------
    BloxError
        It is a folder, a pipe, a device or a socket; of the kind that is given.
    """
    if what := what_is(path):
        raise error(f"{path} is {what}, and only a file can be read here; name a file, or a copy that is one")


@contextmanager
def named(path: object) -> Iterator[None]:
    """Have an `OSError` in the block name a file where it names none, as those of reading do.

    Parameters
    ----------
    path
        The file.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


class _Named(FileIO):
    """A file whose errors say which it is, for whoever reads it: a decoder, a program that unpacks."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor)
        self.path = path

    def readinto(self, buffer: Any) -> Any:
        """As `io.FileIO.readinto`."""
        with named(self.path):
            return super().readinto(buffer)

    def read(self, size: int | None = -1) -> Any:
        """As `io.FileIO.read`."""
        with named(self.path):
            return super().read(-1 if size is None else size)

    def readall(self) -> Any:
        """As `io.FileIO.readall`."""
        with named(self.path):
            return super().readall()


def open_file(path: Path, error: type[BloxError]) -> BufferedReader:
    """A file, open for reading: the one place where files that somebody named are opened.

    Parameters
    ----------
    path
        The file.
    error
        The kind of error for what is no file.

    Returns
    -------
    BufferedReader
        The file, at its start; an error of reading it names it.

    Raises
    ------
    BloxError
        It is a folder, a pipe, a device or a socket; of the kind that is given.
    OSError
        There is none, or it may not be read.
    """
    check_file(path, error)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it may have become a pipe
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise error(f"{path} was changed while it was opened; try again")
        return BufferedReader(_Named(descriptor, path))
    except BaseException:
        os.close(descriptor)
        raise


def as_name(text: str) -> str:
    """A text as part of a file's name, whatever it is: the only way from a name in a file to a path.

    Most texts stay as they are. In others ``%`` and two hex digits stand for bytes of UTF-8: separators of
    folders, what cannot be printed or means something to a shell of Windows, a dash, dot or space at the
    start, a dot or space at the end, the first letter of names that Windows keeps for devices, and ``%``.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        A name within one folder; empty for an empty text only. `from_name` gives the text back.

    Examples
    --------
    >>> as_name("jetson-nano"), as_name("../x"), as_name("con.1")
    ('jetson-nano', '%2E.%2Fx', '%63on.1')
    """
    told = {i for i, letter in enumerate(text) if letter in _UNSAFE or not letter.isprintable()}
    if text[:1] in ("-", ".", " ") or _RESERVED.fullmatch(text.partition(".")[0].rstrip()):
        told.add(0)
    if text[-1:] in (".", " "):
        told.add(len(text) - 1)
    return "".join(_percent(letter) if i in told else letter for i, letter in enumerate(text))


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


def from_name(name: str) -> str:
    """The text that `as_name` made a name of.

    Parameters
    ----------
    name
        The name; what was not made by `as_name` is given back as it is where it has no ``%``.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> from_name("%2E.%2Fx")
    '../x'
    """
    return unquote_to_bytes(name.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


@dataclass(repr=False)
class ExportReport(Report):
    """What an export wrote.

    Attributes
    ----------
    files
        The paths.
    notes
        Sentences on what a reader should know: columns that the original package cannot read, runs that are
        not in the files.
    counts
        How many architectures, runs, epochs and latencies are in them.
    """

    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        told = f": {self.counts}" if self.counts else ""
        return f"{files(len(self.files))}{told}"


def files(count: int) -> str:
    """A number of files, in words."""
    return counted(count, "file")


def rest_of(stream: BinaryIO) -> memoryview:
    """All that is left of a file, read once: `stream.read()` would join what is buffered and the rest."""
    here = stream.tell()
    if isinstance(stream, BytesIO):
        return stream.getbuffer()[here:].toreadonly()
    size = stream.seek(0, os.SEEK_END) - here
    data = new_array((size,), np.uint8).data
    if size >= _WORTH_THREADS and isinstance(stream, BufferedReader) and hasattr(os, "preadv"):
        middle = size // 2
        path = getattr(stream.raw, "path", stream.name)
        # new memory takes as long as the copy, and each core makes its own
        with named(path), ThreadPoolExecutor(2) as pool:
            first = pool.submit(_read_at, stream.fileno(), data[:middle], here)
            second = pool.submit(_read_at, stream.fileno(), data[middle:], here + middle)
            read = first.result() if first.result() < middle else middle + second.result()
    else:
        stream.seek(here)
        read = stream.readinto(data)  # type: ignore[attr-defined]
    return data[:read].toreadonly()


def _read_at(descriptor: int, data: memoryview, place: int) -> int:
    """Fill memory from a place of a file; how many bytes there were."""
    read = 0
    while read < len(data) and (part := os.preadv(descriptor, [data[read:]], place + read)):
        read += part
    return read


def new_array(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros in ordinary pages of memory.

    NumPy asks the system for huge pages, which have to be whole and so are mostly ones that were never used.
    On a virtual machine the host must then find memory for each: reading a full-size ext file took 0.8 to
    1.4 s with them, and 0.8 s without, where pages that another process has just given back serve as well.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.zeros(shape, dtype=dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype=dtype).reshape(shape)

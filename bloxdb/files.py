"""Paths as people write them, files that appear whole or not at all, and large ones in memory."""

from __future__ import annotations

import errno
import fcntl
import math
import mmap
import os
import re
import secrets
import shutil
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt

from bloxdb.counts import Counts
from bloxdb.errors import BloxError

_WORTH_THREADS = 1 << 24  # bytes
_NO_LOCKS = (errno.ENOLCK, errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP)
_WORKSPACE = ".bloxdb-"
_KINDS = {
    stat.S_IFREG: "",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_UNSAFE = frozenset('%/\\<>:"|?*')
_RESERVED = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9¹²³]", re.IGNORECASE)
_LARGE = 1 << 22  # bytes from which NumPy asks for huge pages


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path as a caller gives it: ``~`` is a home folder, which no shell has made of ``--out=~/x``."""
    place = Path(path)
    try:
        return place.expanduser()
    except RuntimeError:  # nobody is called so: it is a name like any other
        return place


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
        The file, at its start.

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
        return os.fdopen(descriptor, "rb")
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


@contextmanager
def workspace(beside: Path) -> Iterator[Path]:
    """A folder within another for what is not whole yet; removed at the end.

    A process that is killed leaves its folder, and the next that works there removes it. It knows by a lock
    on the folder, which the system ends with its owner, and by a name that says on which machine the owner
    is: some shared disks keep the locks of each machine apart.

    Parameters
    ----------
    beside
        The folder in which it is made, so that what was made in it can be renamed.

    Yields
    ------
    Path
        The folder.
    """
    _remove_left(beside)
    place, descriptor = beside, None
    try:
        while descriptor is None:
            place = beside / f"{_prefix()}{secrets.token_hex(8)}.tmp"
            place.mkdir(mode=0o700)
            descriptor = _locked(place)
        yield place
    finally:
        if place != beside:
            shutil.rmtree(place, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def is_workspace(path: Path) -> bool:
    """Whether a path has the name of a `workspace`, of any machine."""
    return path.name.startswith(_WORKSPACE) and path.name.endswith(".tmp")


def _prefix() -> str:
    """How the folders of this machine are called."""
    return f"{_WORKSPACE}{blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()}-"


def left_in(folder: Path) -> list[Path]:
    """What killed processes of this machine have left in a folder: workspaces that nobody holds."""
    found = []
    for path in sorted(folder.glob(f"{_prefix()}*")):
        with suppress(OSError):  # its owner removes it just now, or is somebody else
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if is_workspace(path):
                    found.append(path)
            finally:
                os.close(descriptor)
    return found


def _remove_left(folder: Path) -> None:
    """Remove what killed processes of this user left in a folder."""
    prefix = _prefix()
    try:
        found = [path for path in folder.iterdir() if path.name.startswith(prefix) and is_workspace(path)]
    except OSError:  # what follows will say what is wrong with the folder
        return
    for path in found:
        with suppress(OSError):  # its owner removes it just now
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """Take the lock of a new folder; None where another process took it for one that was left meanwhile.

    Where a file system has no locks nobody gets one, so that nothing is ever taken for left.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    is_taken = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_taken = True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    with suppress(FileNotFoundError):
        if not is_taken and os.path.samestat(os.fstat(descriptor), folder.stat()):
            return descriptor
    os.close(descriptor)
    return None


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A name in a `workspace` beside `target`, which has what is written there at the end, on the disk.

    Nothing is ever replaced: of two processes that make one file at once, the first makes it.

    Parameters
    ----------
    target
        The new file.

    Yields
    ------
    Path
        What to write; it must be closed at the end.

    Raises
    ------
    FileExistsError
        There is something of this name at the end.
    """
    with workspace(target.parent) as folder:
        temporary = folder / target.name
        yield temporary
        with _lasting(target.parent, temporary):
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                raise
            except OSError:  # a file system without links
                os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                temporary.replace(target)


@contextmanager
def _lasting(folder: Path, *written: Path) -> Iterator[None]:
    """Give what was written its names in a folder, so that a power cut finds it there, and whole.

    What lies in a `workspace` is promised to nobody, so nothing waits for the disk there.

    Parameters
    ----------
    folder
        Where the new names are.
    written
        What gets them: files; or a folder, and the files in it.
    """
    place = folder.absolute()
    is_promised = not any(is_workspace(path) for path in (place, *place.parents))
    if is_promised:
        for path in written:
            sync(path)
    yield
    if is_promised:
        sync(folder)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # no such thing for this folder
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it that are missing, on the disk; which were made, the lowest first."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in made:
        sync(place.parent)
    return made


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A name in a `workspace` beside `target`; renamed onto it at the end, on the disk, or removed."""
    with workspace(target.parent) as folder:
        temporary = folder / target.name
        yield temporary
        with _lasting(target.parent, temporary):
            temporary.replace(target)


@contextmanager
def replacing_all(folder: Path) -> Iterator[Path]:
    """A folder in a `workspace`; what was put into it takes its place in `folder` at the end, on the disk.

    A new folder appears with all files at once. In one that is there, files of other names stay, and each is
    replaced as a whole. After an error nothing is left, nor folders above that were not there before.
    """
    folder = folder.resolve()
    is_new = not folder.exists()
    beside = folder.parent if is_new else folder
    with made(beside), workspace(beside) as place:
        staging = place / folder.name
        staging.mkdir()
        yield staging
        files = sorted(staging.iterdir())
        if not (is_new and _appears(folder, staging, files)):
            with _lasting(folder, *files):
                for path in files:
                    path.replace(folder / path.name)


def _appears(folder: Path, staging: Path, files: list[Path]) -> bool:
    """Give a folder its name; False where another process has made one with something in it meanwhile."""
    try:
        with _lasting(folder.parent, *files, staging):
            staging.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """A folder, which is made with those above it; those that are new and empty at the end are removed."""
    new = make_folder(folder)
    try:
        yield
    finally:
        for place in new:
            with suppress(OSError):  # there is something in it, or somebody removed it
                place.rmdir()


@dataclass
class ExportReport:
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

    def __repr__(self) -> str:
        notes = f", {len(self.notes)} notes" if self.notes else ""
        return f"<ExportReport: {self}{notes}>"


def files(count: int) -> str:
    """A number of files, in words."""
    return f"{count:,} file{'s' * (count != 1)}"


def rest_of(stream: BinaryIO) -> memoryview:
    """All that is left of a file, read once: `stream.read()` would join what is buffered and the rest."""
    here = stream.tell()
    if isinstance(stream, BytesIO):
        return stream.getbuffer()[here:].toreadonly()
    size = stream.seek(0, os.SEEK_END) - here
    data = new_array((size,), np.uint8).data
    if size >= _WORTH_THREADS and isinstance(stream, BufferedReader) and hasattr(os, "preadv"):
        middle = size // 2
        with ThreadPoolExecutor(
            2
        ) as pool:  # new memory takes as long as the copy, and each core makes its own
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

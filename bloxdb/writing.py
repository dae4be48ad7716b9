"""Files and folders that appear whole or not at all, and survive a power cut once they are there."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""What is said where a file has no second name, as on FAT, or none in another folder, as on AFS."""

_WORKSPACE = ".bloxdb-"
_lock = threading.RLock()
_SOON = 1.0  # seconds; who has the lock may wait for one that the forking thread has
_holds: set[Hold] = set()
"""Of this process; a child that was forked gives those of its parent up, whose folders they are."""


class Hold:
    """A folder that is open to be locked: a lock that every child inherits, and that lasts as long as any.

    Parameters
    ----------
    folder
        The folder.
    flags
        More flags to open it with.

    Attributes
    ----------
    is_ours
        Whether it is open, and by this process.
    """

    def __init__(self, folder: Path, flags: int = 0) -> None:
        with _lock:  # no fork comes between
            self._open = os.open(folder, os.O_RDONLY | flags)
            self.is_ours = True
            _holds.add(self)

    def lock(self) -> None:
        """Take the lock; `BlockingIOError` where another has it."""
        fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_at(self, folder: Path) -> bool:
        """Whether a path still leads to it; `FileNotFoundError` where nothing is there."""
        return os.path.samestat(os.fstat(self._open), folder.stat())

    def close(self) -> None:
        """Give it up."""
        with _lock:
            self.drop()
            _holds.discard(self)

    def drop(self) -> None:
        """Close what is open; where that was inherited, the parent's lock stays."""
        if self.is_ours:
            os.close(self._open)
            self.is_ours = False


_stopped: list[bool] = []  # whether a fork has the lock


def _before() -> None:
    _stopped.append(_lock.acquire(timeout=_SOON))


def _after_in_parent() -> None:
    if _stopped.pop():
        _lock.release()


def _after_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    _stopped.clear()
    for hold in _holds:
        hold.drop()
    _holds.clear()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


@contextmanager
def workspace(beside: Path, *, target: Path | None = None) -> Iterator[Path]:
    """A folder within another for what is not whole yet; removed at the end.

    A process that is killed leaves its folder, and the next that works there removes it. It knows by a lock
    on the folder, which the system ends with its owner, and by a name that says on which machine the owner
    is: some shared disks keep the locks of each machine apart.

    Parameters
    ----------
    beside
        The folder in which it is made, so that what was made in it can be renamed.
    target
        What the first name in it is to be called: what errors name; if None, they name the folder beside.

    Yields
    ------
    Path
        The folder.
    """
    remove_left(beside)
    place, hold = beside, None
    try:
        while hold is None:
            place = beside / f"{_prefix()}{secrets.token_hex(8)}.tmp"
            place.mkdir(mode=0o700)
            hold = _locked(place)
        yield place
    except OSError as error:
        _name_as_asked(error, place, beside, target)
        raise
    finally:
        is_ours = place != beside and (hold is None or hold.is_ours)  # else it is a parent's
        if hold is not None:
            hold.close()  # first, since to remove it takes a descriptor, too
        if is_ours:
            shutil.rmtree(place, ignore_errors=True)


def _name_as_asked(error: OSError, place: Path, beside: Path, target: Path | None) -> None:
    """Let an error name what was asked for: a full disk names no file, and others a name of ours."""
    if error.errno is None or isinstance(error.filename, int):  # a sentence of ours; a stream
        return
    name = None if error.filename is None else Path(os.fsdecode(error.filename))
    if name is None or name.is_relative_to(place):
        rest = () if name is None else name.relative_to(place).parts[1:]
        error.filename = str(beside if target is None else target.joinpath(*rest))
        del error.filename2  # what was to be renamed, which is the same


def is_workspace(path: Path) -> bool:
    """Whether a path has the name of a `workspace`, of any machine."""
    return path.name.startswith(_WORKSPACE) and path.name.endswith(".tmp")


def meant(path: Path) -> Path:
    """What a file in a `workspace` is to be called, as `appearing` has it; the path itself elsewhere."""
    return path.parent.parent / path.name if is_workspace(path.parent) else path


def _prefix() -> str:
    """How the folders of this machine are called."""
    return f"{_WORKSPACE}{blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()}-"


def left_in(folder: Path) -> list[tuple[Path, bool]]:
    """What killed processes have left in a folder, and whether they were of this machine.

    Of a folder that another machine made, as a container under another name, nobody knows whether its owner
    lives.
    """
    found = []
    try:
        there = sorted(filter(is_workspace, folder.iterdir()))
    except OSError:  # nobody may list it, who may well read files in it
        return []
    for path in there:
        if not path.name.startswith(_prefix()):
            found.append((path, False))
            continue
        with _unheld(path) as is_left:
            if is_left:
                found.append((path, True))
    return found


def remove_left(folder: Path) -> None:
    """Remove what killed processes of this user left in a folder."""
    prefix = _prefix()
    try:
        found = [path for path in folder.iterdir() if path.name.startswith(prefix) and is_workspace(path)]
    except OSError:  # what follows will say what is wrong with the folder
        return
    for path in found:
        with suppress(OSError), _unheld(path) as is_left:
            if is_left and path.lstat().st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _unheld(path: Path) -> Iterator[bool]:
    """Whether nobody holds a workspace; nobody takes it while the block lasts."""
    try:
        hold = Hold(path, os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # its owner removes it just now, or is somebody else
        yield False
        return
    try:
        try:
            hold.lock()
        except OSError:
            yield False
        else:
            yield True
    finally:
        hold.close()


def _locked(folder: Path) -> Hold | None:
    """Take the lock of a new folder; None where another process took it for one that was left meanwhile.

    Where a file system has no locks nobody gets one, so that nothing is ever taken for left.
    """
    try:
        hold = Hold(folder)
    except FileNotFoundError:
        return None
    is_taken = False
    try:
        hold.lock()
    except BlockingIOError:
        is_taken = True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    with suppress(FileNotFoundError):
        if not is_taken and hold.is_at(folder):
            return hold
    hold.close()
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
    with workspace(target.parent, target=target) as folder:
        temporary = folder / target.name
        yield temporary
        with _lasting(target.parent, temporary):
            try:
                target.hardlink_to(temporary)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _take_place(temporary, target)


def _take_place(temporary: Path, target: Path) -> None:
    """Rename a file to a name that an empty file has taken first; only a kill between the two leaves that."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        temporary.replace(target)
    except FileExistsError:
        raise
    except BaseException:
        if temporary.exists() and target.exists() and target.stat().st_size == 0:
            target.unlink()
        raise


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
    """Make a folder and those above it that are missing, on the disk; which were made, the lowest first.

    Raises
    ------
    NotADirectoryError
        Something else than a folder is there, or above.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is no folder", str(there))
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in made:
        sync(place.parent)
    return made


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A name in a `workspace` beside `target`; renamed onto it at the end, on the disk, or removed."""
    with workspace(target.parent, target=target) as folder:
        temporary = folder / target.name
        yield temporary
        with _lasting(target.parent, temporary):
            temporary.replace(target)


def beside_or_in(folder: Path) -> Path:
    """Where the `workspace` is for what goes into a folder: beside one that is new, else in it.

    Who made the folder, and was killed behind that, has left a workspace beside it; that is removed, too.
    """
    if not folder.exists():
        return folder.parent
    remove_left(folder.parent)
    return folder


@contextmanager
def replacing_all(folder: Path) -> Iterator[Path]:
    """A folder in a `workspace`; what was put into it takes its place in `folder` at the end, on the disk.

    A new folder appears with all files at once. In one that is there, files of other names stay, and each is
    replaced as a whole. After an error nothing is left, nor folders above that were not there before.
    """
    asked, folder = folder, folder.resolve()
    is_new = not folder.exists()
    beside = beside_or_in(folder)
    with made(beside), workspace(beside, target=asked) as place:
        staging = place / folder.name
        staging.mkdir()
        yield staging
        files = sorted(staging.iterdir())
        for taken in (folder / path.name for path in files):
            if taken.is_dir():  # before the first has its name, so that all have or none
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(taken))
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

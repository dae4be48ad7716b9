"""The explorer as plain files, for any web server or pages host: the page, and each answer once."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from bloxdb.db.database import Database
from bloxdb.errors import QueryError
from bloxdb.files import ExportReport
from bloxdb.progress import Progress
from bloxdb.web import page
from bloxdb.web.answers import answer, names
from bloxdb.writing import beside_or_in, make_folder, sync, workspace

LIST = "data/files.json"
"""The file of a copy that lists all its files: what a later copy may replace and remove."""

_WRITER = "bloxdb explore --static"
_INSTEAD = "move it away, or name a folder that is not there yet"


def write_copy(folder: Path, db: Database, *, progress: Progress | None = None) -> ExportReport:
    """Write the explorer of a database into a folder.

    Nothing needs to run where it is served, and no database: only files are read. All is written before
    anything appears. A new folder appears as a whole. Where an earlier copy is, each of its files is replaced
    or removed; whatever else lies there stays, whenever the process is killed.

    Parameters
    ----------
    folder
        The folder, which is made.
    db
        The database.
    progress
        What is called with files written, all files, and what goes on.

    Returns
    -------
    ExportReport
        The files.

    Raises
    ------
    QueryError
        There is something else in the folder and no earlier copy, or something else where a file of the copy
        goes.
    """
    target = folder.absolute()
    wanted = [
        *(f"data/{name}" for name in names()),
        *sorted(page.files(), key=lambda name: name == page.INDEX),
    ]
    goes_to = _led_to(target)
    known = _known(target)
    _check(target, wanted, known)
    is_new = not target.exists()
    if is_new:
        make_folder(goes_to.parent)
    with workspace(beside_or_in(goes_to), target=target) as place:
        new = place / "new"
        _write(new, wanted, db, progress)
        if is_new:
            new.rename(goes_to)
            sync(goes_to.parent)
        else:
            _check(target, wanted, known)  # it took a while
            _exchange(new, target, wanted, known)
            sync(target)
    return ExportReport([target / name for name in (*wanted, LIST)])


def _led_to(target: Path) -> Path:
    """Where a new folder appears: a link to what is not there leads to its place."""
    try:
        return target.resolve()
    except (OSError, RuntimeError) as error:
        raise QueryError(f"{target} is a link that leads back to itself; name another folder") from error


def _known(target: Path) -> list[str]:
    """The files of an earlier copy, as it lists them; none where there is no copy."""
    if not target.exists():
        return []
    if not target.is_dir():
        raise QueryError(f"{target} is a file; name a folder that is not there yet")
    with suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads((target / LIST).read_text(encoding="utf-8"))
        if told["by"] == _WRITER and all(map(_is_below, told["files"])):
            return [*told["files"]]
    for path in sorted(target.iterdir()):
        is_empty = path.is_dir() and not any(path.iterdir())  # as a copy leaves one that was killed
        if not (path.name.startswith(".") or is_empty):
            raise QueryError(
                f"there is something else in {target}: {path.name}, and no list of an earlier copy's files "
                f"({LIST}) that has it; {_INSTEAD}"
            )
    return []


def _is_below(name: str) -> bool:
    """Whether a name leads to something in the folder itself, or below."""
    path = PurePosixPath(name)
    return not path.is_absolute() and not {"..", "."} & {*path.parts, name} and "\0" not in name


def _check(target: Path, wanted: Iterable[str], known: Iterable[str]) -> None:
    """Refuse to write where something is that no earlier copy wrote."""
    own = {*known, LIST}
    for name in dict.fromkeys((*wanted, *own)):
        path = target / name
        for folder in reversed(PurePosixPath(name).parents[:-1]):
            if not _is(target / folder, stat.S_ISDIR):
                raise QueryError(f"{target / folder} is no folder, and the copy has one there; {_INSTEAD}")
        if not _is(path, stat.S_ISREG):
            raise QueryError(f"{path} is no file, and the copy has one there; {_INSTEAD}")
        if name not in own and path.exists():
            raise QueryError(
                f"{path} is where a file of the copy goes, and the earlier copy's list ({LIST}) does not "
                f"have it; {_INSTEAD}"
            )


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether something is of a kind, or not there; a link is neither a file nor a folder."""
    try:
        return kind(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def _write(new: Path, wanted: list[str], db: Database, progress: Progress | None) -> None:
    """Write all files, first the list and those of the page, which take no time."""
    of_page = page.files()
    _list(new, wanted)
    for folder in {(new / name).parent for name in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    for name in of_page:
        (new / name).write_bytes(page.read(name)[0])
    for done, name in enumerate(names(), start=len(of_page) + 2):
        (new / "data" / name).write_bytes(answer(db, name).body)
        if progress is not None:
            progress(done, len(wanted) + 1, "files")


def _list(folder: Path, files: Iterable[str]) -> Path:
    path = folder / LIST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"by": _WRITER, "files": [*files]}, indent=0), encoding="utf-8")
    return path


def _exchange(new: Path, target: Path, wanted: list[str], known: list[str]) -> None:
    """Give each new file its place, and remove those of the earlier copy that have no successor.

    The list has the files of both meanwhile, so that the next copy knows them if this process is killed.
    """
    (target / LIST).parent.mkdir(exist_ok=True)
    _list(new, dict.fromkeys((*known, *wanted))).replace(target / LIST)
    for name in wanted:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(target / name)
    left = {*known} - {*wanted, LIST}
    for name in left:
        (target / name).unlink(missing_ok=True)
    for folder in sorted(
        {above for name in left for above in PurePosixPath(name).parents[:-1]}, reverse=True
    ):
        with suppress(OSError):  # there is something in it
            (target / folder).rmdir()
    _list(new, wanted).replace(target / LIST)

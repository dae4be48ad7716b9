"""The explorer as plain files, for any web server or pages host: the page, and each answer once."""

from __future__ import annotations

from pathlib import Path

from bloxdb.db.database import Database
from bloxdb.errors import QueryError
from bloxdb.files import ExportReport
from bloxdb.progress import Progress
from bloxdb.web import page
from bloxdb.web.answers import answer, names
from bloxdb.writing import make_folder, sync, workspace


def write_copy(folder: Path, db: Database, *, progress: Progress | None = None) -> ExportReport:
    """Write the explorer of a database into a folder.

    Nothing needs to run where it is served, and no database: only files are read. A folder that an earlier
    copy is in is replaced as a whole; all is written beside it first.

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
        There is something else in the folder.
    """
    target = folder.absolute()
    _check(target)
    make_folder(target.parent)
    with workspace(target.parent, target=target) as place:
        new = place / "new"
        written = _write(new, db, progress)
        if target.exists():
            target.rename(place / "old")  # which goes with the workspace
        new.rename(target)
    sync(target.parent)
    return ExportReport([target / path.relative_to(new) for path in written])


def _check(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise QueryError(f"{target} is a file; name a folder that is not there yet")
    if any(target.iterdir()) and not (target / "data" / "about.json").is_file():
        raise QueryError(f"there is something else in {target}; name a folder that is not there yet")


def _write(new: Path, db: Database, progress: Progress | None) -> list[Path]:
    wanted = [(new / name, name) for name in page.files()]
    data = [(new / "data" / name, name) for name in names()]
    count = len(wanted) + len(data)
    for path in {path.parent for path, _ in (*wanted, *data)}:
        path.mkdir(parents=True, exist_ok=True)
    for path, name in wanted:
        path.write_bytes(page.read(name)[0])

    for done, (path, name) in enumerate(data, start=len(wanted) + 1):
        path.write_bytes(answer(db, name).body)
        if progress is not None:
            progress(done, count, "files")
    return [path for path, _ in (*wanted, *data)]
